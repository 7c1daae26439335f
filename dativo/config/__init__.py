"""Skeleton of dativo.config."""
