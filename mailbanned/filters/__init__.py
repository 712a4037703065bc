"""Lines -> failures, logins and outages: the prefilter, the patterns, their samples.

This package decides nothing and does no I/O: it takes bytes and returns values. The address of a
failure comes only from the part of a line that the server itself wrote. What a client can write
(user names, HELO, recipients) is inside anchored patterns and can at most spoil its own line.
"""

from mailbanned.filters.filter import Filter, Sample, SampleFailure, run_samples
from mailbanned.filters.filterset import FilterSet
from mailbanned.filters.pattern import Finding, Ignored, Pattern, PatternError
from mailbanned.filters.stats import FilterStats, PatternStats

__all__ = [
    "Filter",
    "FilterSet",
    "FilterStats",
    "Finding",
    "Ignored",
    "Pattern",
    "PatternError",
    "PatternStats",
    "Sample",
    "SampleFailure",
    "run_samples",
]
