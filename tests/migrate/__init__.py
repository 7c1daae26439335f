"""Importers: what their reports say, and that what was imported moves the same rows to the same state."""
