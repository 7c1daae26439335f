"""Skeleton of dativo.state."""
