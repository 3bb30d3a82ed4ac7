"""The live viewer in the browser."""
