"""The configuration as values, and what can be wrong with one: all that the daemon keeps of it.

Nothing here needs the library that validates: the daemon has its configuration read by a process
of its own (apart.py) and never loads that library, which would cost it 12 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mailbanned
from mailbanned.filters import Filter, FilterSet, Stamps
from mailbanned.jails import BreakerRules, JailRules

if TYPE_CHECKING:
    from mailbanned.config.options import File

_MYSQL_QUERY = (
    "SELECT 1 FROM mailbox WHERE username = %(user)s "
    "OR username LIKE CONCAT(%(user)s, '@%%') LIMIT 1"
)
_SQLITE_QUERY = (
    "SELECT 1 FROM mailbox WHERE username = :user COLLATE NOCASE "
    "OR username LIKE :user || '@%' LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One error of a configuration: `file: key: what; remedy`. shown: lines that show the place."""

    file: str
    key: str
    what: str
    remedy: str
    shown: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.what}; {self.remedy}"


class ConfigError(Exception):
    """A configuration that cannot be used, with all its problems."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def _shipped() -> Path:
    """In an installed package beside the code, in a checkout at the top of the tree."""
    package = Path(mailbanned.__file__).resolve().parent
    inside = package / "data" / "config"
    return inside if inside.is_dir() else package.parent / "config"


#: The folder of the configuration that travels with the program.
SHIPPED = _shipped()


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration that has been found good.

    file: the options. rules: one for each enabled jail. resting: the same of disabled jails.
    filters: every filter that a jail names. hints: what is allowed but surely not meant.
    """

    path: Path
    file: File
    rules: tuple[JailRules, ...]
    resting: tuple[JailRules, ...]
    filters: dict[str, Filter]
    hints: tuple[str, ...] = ()

    @property
    def outage(self) -> BreakerRules:
        """When failures of logins do not count."""
        table = self.file.outage
        return BreakerRules(table.enabled, table.hold, table.clients)

    def every_rule(self) -> tuple[JailRules, ...]:
        """The rules of all jails, the disabled ones too."""
        return (*self.rules, *self.resting)

    def filter_sets(
        self, rules: Iterable[JailRules], before: Mapping[str, FilterSet] = {}
    ) -> dict[str, FilterSet]:
        """For each source that one of the jails listens to, the filters that look at its lines.

        before: the sets of the configuration until now, whose tallies go on.
        """
        wanted: dict[str, dict[str, None]] = {}
        for one in rules:
            wanted.setdefault(one.source, {})[one.filter] = None
        return {
            source: FilterSet(
                [self.filters[name] for name in names],
                Stamps(self.file.sources[source].timezone),
                before[source].tally if source in before else None,
            )
            for source, names in wanted.items()
        }


def account_query(backend: str, query: str) -> str:
    """The query of [accounts] in the spelling of the backend's library, or its default one."""
    if backend != "sqlite":
        return query or _MYSQL_QUERY
    if "%(user)s" in query:
        return query.replace("%(user)s", ":user").replace("%%", "%")
    return query or _SQLITE_QUERY
