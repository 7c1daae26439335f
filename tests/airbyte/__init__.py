"""Airbyte connectors as taps and targets: real ones of the package index, and some that misbehave as they are told."""
