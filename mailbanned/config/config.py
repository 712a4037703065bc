"""The loaded configuration, and the problems that keep one from being loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import mailbanned
from mailbanned.config.options import File
from mailbanned.filters import Filter, FilterSet
from mailbanned.jails import JailSettings
from mailbanned.logformat.syslog import LineParser


@dataclass(frozen=True, slots=True)
class Problem:
    """One error of a configuration: `file: key: what; remedy`. shown: lines that illustrate it."""

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


def _find_shipped() -> Path:
    """Beside the code in an installed package, at the top of the tree in a checkout."""
    package = Path(mailbanned.__file__).resolve().parent
    installed = package / "data" / "config"
    return installed if installed.is_dir() else package.parent / "config"


#: The folder of the configuration that comes with the program.
SHIPPED = _find_shipped()


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration without errors.

    path: the main file.
    file: its tables, merged with those of conf.d.
    jails: the settings of each enabled jail. disabled: those of the others.
    filters: every filter that a jail names.
    warnings: what is allowed but surely not meant.
    """

    path: Path
    file: File
    jails: tuple[JailSettings, ...]
    disabled: tuple[JailSettings, ...]
    filters: dict[str, Filter]
    warnings: tuple[str, ...] = ()

    def all_jails(self) -> tuple[JailSettings, ...]:
        """The settings of all jails, enabled or not."""
        return (*self.jails, *self.disabled)

    def filter_sets(
        self, jails: Iterable[JailSettings], before: Mapping[str, FilterSet] = {}
    ) -> dict[str, FilterSet]:
        """For each source of the jails, the filters to try on its lines.

        before: the sets of the previous configuration, whose statistics go on.
        """
        names: dict[str, dict[str, None]] = {}
        for jail in jails:
            names.setdefault(jail.source, {})[jail.filter] = None
        return {
            source: FilterSet(
                [self.filters[name] for name in filters],
                LineParser(self.file.sources[source].timezone),
                before[source].stats if source in before else None,
            )
            for source, filters in names.items()
        }
