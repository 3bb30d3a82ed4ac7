"""How far a picture is from the truth: PSNR, SSIM and LPIPS, pure functions and their networks.

Pictures are tensors `(..., height, width, 3)` in [0, 1]; leading axes are batches, and results keep them.
"""
