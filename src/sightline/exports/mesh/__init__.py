"""Triangle meshes of a field's surface, with colours or a texture."""
