"""The seam to the data plane: finding it, the plan's bytes, its events, and what is left when it dies."""
