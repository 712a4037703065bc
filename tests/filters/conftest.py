"""How hypothesis runs in this room."""

from __future__ import annotations

from hypothesis import settings

# The tests share the machine with others: how long one example takes proves nothing.
settings.register_profile("filters", deadline=None)
settings.load_profile("filters")
