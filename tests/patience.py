"""How long tests wait for real work: until it is done. Only a hang takes longer, on any machine."""

from __future__ import annotations

#: Seconds; longer than the slowest machine needs for anything, so nothing is to be judged by it.
HANG_S = 120.0
