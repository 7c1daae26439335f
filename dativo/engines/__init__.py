"""Skeleton of dativo.engines."""
