"""Dense grids of colour and opacity."""
