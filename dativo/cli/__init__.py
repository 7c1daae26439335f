"""Skeleton of dativo.cli."""
