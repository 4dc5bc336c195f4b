import pytest
from hypothesis import HealthCheck, settings

from stockpipeline.market.calendar import SessionCalendar

# Bounded by examples, not by time: a busy machine must not make a test fail.
settings.register_profile(
    "unit", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")


@pytest.fixture(scope="session")
def calendar() -> SessionCalendar:
    """The calendar of the exchange of the packaged bars; loading one takes a second."""
    return SessionCalendar("XNAS")
