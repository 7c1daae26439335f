"""Tests of dativo.plugins."""
