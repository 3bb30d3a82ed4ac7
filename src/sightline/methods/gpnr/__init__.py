"""GPNR: views by transformers over patches along epipolar lines (Suhail et al. 2022)."""
