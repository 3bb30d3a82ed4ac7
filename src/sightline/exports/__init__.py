"""What leaves: meshes, textures, points, volumes, portable scenes and web pages made from trained runs."""
