"""The Singer protocol as Dativo speaks it."""
