"""Photos or a video → a capture with camera poses, and object masks."""
