"""Judging predictions against held-out pictures: protocols, result files, panels and tables."""
