"""What every floor needs and nothing about scenes: errors, files on disk, the download cache, hardware."""
