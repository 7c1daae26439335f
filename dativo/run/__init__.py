"""Skeleton of dativo.run."""
