"""What every test shares."""

from hypothesis import HealthCheck, settings

# Timing is not what these tests test, and machines are noisy.
settings.register_profile(
    "touchline", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("touchline")
