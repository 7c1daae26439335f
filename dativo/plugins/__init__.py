"""Skeleton of dativo.plugins."""
