"""Lines -> Failures: time stamp and prefix, the prefilter, the patterns.

This room decides nothing and touches nothing: it takes bytes and returns values. The address of a
failure comes only from the part of a line that the server itself wrote; what a client can write
(user names, HELO, recipients) stands inside anchored patterns and can at most spoil its own line.
"""

from mailbanned.filters.filter import Filter, FilterError, Sample, problems
from mailbanned.filters.filterset import FilterSet
from mailbanned.filters.pattern import Pattern, PatternError
from mailbanned.filters.stats import Hits, Tally
from mailbanned.logformat.syslog import split
from mailbanned.logformat.timestamps import Stamps

__all__ = [
    "Filter",
    "FilterError",
    "FilterSet",
    "Hits",
    "Pattern",
    "PatternError",
    "Sample",
    "Stamps",
    "Tally",
    "problems",
    "split",
]
