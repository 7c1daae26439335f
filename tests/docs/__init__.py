"""The README and docs/ as tests: what they say to type is typed, what they show is compared."""
