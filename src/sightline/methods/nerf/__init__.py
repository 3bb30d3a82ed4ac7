"""`nerf`: the coarse and fine perceptrons (Mildenhall et al. 2020), as published programs have them."""
