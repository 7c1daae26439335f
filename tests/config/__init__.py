"""Tests of dativo.config."""
