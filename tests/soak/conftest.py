"""The bench of the chaos tests, one of its own: the soak changes the tables."""

from tests.chaos.conftest import bench, chaos_plugins, shim

__all__ = ["bench", "chaos_plugins", "shim"]
