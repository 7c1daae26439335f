"""Dativo's tests: real processes, real files, real servers; nothing passes or fails by how long it took."""
