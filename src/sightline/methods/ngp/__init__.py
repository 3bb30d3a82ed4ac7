"""`ngp`: a hash-grid radiance field with an opacity grid, after Instant-NGP (Müller et al. 2022)."""
