"""Finds, merges and checks the configuration: the main file, then conf.d/*.toml in name order.

A later value wins, table by table; lists are values and are replaced as a whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mailbanned
from mailbanned.config.filterfile import load_filter
from mailbanned.config.problems import ConfigError, Problem, read_toml, validate
from mailbanned.config.schema import File, JailTable
from mailbanned.filters import Filter
from mailbanned.jails import MANUAL, JailRules

Keys = tuple[str, ...]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


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

    file: the options. rules: one for each enabled jail. resting: the names of disabled jails.
    filters: every filter that a jail names. hints: what is allowed but surely not meant.
    """

    path: Path
    file: File
    rules: tuple[JailRules, ...]
    resting: tuple[str, ...]
    filters: dict[str, Filter]
    hints: tuple[str, ...] = ()

    def every_rule(self) -> tuple[JailRules, ...]:
        """The rules of all jails, the disabled ones too."""
        return tuple(_rules(name, jail, self.file) for name, jail in self.file.jails.items())


def load(path: Path) -> Config:
    """The configuration at `path`. Raises ConfigError with everything that is wrong with it."""
    merged: dict[str, Any] = {}
    origins: dict[Keys, str] = {}
    problems: list[Problem] = []
    for one in [path, *sorted((path.parent / "conf.d").glob("*.toml"))]:
        tables, found = read_toml(one)
        problems += found
        _merge(merged, tables or {}, str(one), origins)
    if problems:
        raise ConfigError(problems)
    file, problems = validate(File, merged, str(path))
    if file is None:
        raise ConfigError([_placed(problem, origins) for problem in problems])
    filters, problems = _filters(file, path)
    problems = [_placed(problem, origins) for problem in problems + _crossed(file, str(path))]
    if problems:
        raise ConfigError(problems)
    rules = tuple(_rules(n, j, file) for n, j in file.jails.items() if j.enabled)
    resting = tuple(name for name, jail in file.jails.items() if not jail.enabled)
    return Config(path, file, rules, resting, filters, tuple(_hints(file)))


def _merge(
    into: dict[str, Any], tables: dict[str, Any], file: str, origins: dict[Keys, str],
    above: Keys = (),
) -> None:  # fmt: skip
    """Adds the tables of one file and remembers which file said what."""
    for key, value in tables.items():
        keys = (*above, key)
        origins[keys] = file
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value, file, origins, keys)
        elif isinstance(value, dict):
            into[key] = {}
            _merge(into[key], value, file, origins, keys)
        else:
            into[key] = value


def _placed(problem: Problem, origins: dict[Keys, str]) -> Problem:
    """The problem with the file that gave its key (or the table that should have)."""
    known = {".".join(keys): file for keys, file in origins.items()}
    key = problem.key
    while key and key not in known:
        key = key.rpartition(".")[0]
    return Problem(known.get(key, problem.file), problem.key, problem.what, problem.remedy)


def _filters(file: File, path: Path) -> tuple[dict[str, Filter], list[Problem]]:
    """Every filter that a jail names, with its samples run."""
    filters: dict[str, Filter] = {}
    problems: list[Problem] = []
    first_named = {jail.filter: name for name, jail in reversed(file.jails.items())}
    for name, jail in reversed(first_named.items()):
        folders = [path.parent / "filters", SHIPPED / "filters"]
        found, wrong = load_filter(name, folders, str(path), f"jails.{jail}.filter")
        problems += wrong
        if found is not None:
            filters[name] = found
    return filters, problems


def _crossed(file: File, path: str) -> list[Problem]:
    """What only shows when tables are seen together."""
    found = []
    for kind, names in (("sources", file.sources), ("jails", file.jails)):
        for name in names:
            if not _NAME.fullmatch(name):
                remedy = "use letters, digits, '-', '_' and '.'"
                found.append(Problem(path, f"{kind}.{name}", "is not a name", remedy))
    if MANUAL in file.jails:
        remedy = "choose another name"
        found.append(Problem(path, f"jails.{MANUAL}", "is kept for bans by hand", remedy))
    for name, jail in file.jails.items():
        if jail.source not in file.sources:
            known = ", ".join(file.sources) or "none yet"
            what = f"there is no [sources.{jail.source}]"
            remedy = f"name one of the sources ({known}) or add it"
            found.append(Problem(path, f"jails.{name}.source", what, remedy))
    return found


def _rules(name: str, jail: JailTable, file: File) -> JailRules:
    """The jail's own options, those of [defaults] where it is silent."""
    given, defaults = jail.model_fields_set, file.defaults

    def option(key: str) -> Any:
        return getattr(jail if key in given else defaults, key)

    return JailRules(
        name=name,
        source=jail.source,
        filter=jail.filter,
        maxretry=option("maxretry"),
        findtime=option("findtime"),
        bantime=option("bantime"),
        unknown_accounts=jail.accounts == "unknown",
        ipv6_prefix=option("ipv6_prefix"),
        ignore=option("ignore"),
        ignore_own=option("ignore_own_addresses"),
    )


def _hints(file: File) -> list[str]:
    """Allowed, but surely not meant."""
    hints = []
    strict = [name for name, jail in file.jails.items() if jail.accounts == "unknown"]
    if strict and file.accounts.backend == "none":
        hints.append(
            f"[accounts] backend is none, so {', '.join(strict)} can never tell an unknown "
            "account and will stay quiet"
        )
    if not any(jail.enabled for jail in file.jails.values()):
        hints.append("no jail is enabled, so nobody will ever be banned")
    return hints
