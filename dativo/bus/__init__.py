"""Skeleton of dativo.bus."""
