"""pixelNeRF: radiance fields from one or few pictures (Yu et al. 2021)."""
