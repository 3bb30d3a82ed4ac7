"""Portable scenes: weights and cameras in one file."""
