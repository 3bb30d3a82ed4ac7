"""Layouts on disk of synthetic sets: one file for each, with its cameras, files and lists.

A layout turns series of objects into a `Plan` for `production`.
"""
