"""Skeleton of dativo.observe."""
