"""Encodings and networks that methods are built from; nothing here knows rays or scenes."""
