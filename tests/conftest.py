"""What holds for every test: how hypothesis judges examples."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long an example or its drawing takes says something about the machine and its load, not about
# the program. A fixture that every example of a test shares is written to be shared.
settings.register_profile(
    "mailbanned",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("mailbanned")
