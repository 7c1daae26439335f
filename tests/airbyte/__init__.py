"""Airbyte sources as taps: real ones from the package index, and one that misbehaves as it is told to."""
