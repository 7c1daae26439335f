"""Property tests judge values, never the clock: no deadline, and no health check that measures time."""

from hypothesis import HealthCheck, settings

settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False)
settings.load_profile("steady")
