"""Kills: any process of a running job, at any moment, and then the same line again."""
