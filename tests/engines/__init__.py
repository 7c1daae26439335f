"""Tests of dativo.engines."""
