"""Finds, merges and checks the configuration: the main file, then conf.d/*.toml in name order.

A later value wins, table by table; lists are values and are replaced as a whole.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mailbanned.config.config import SHIPPED, Config, ConfigError, Problem
from mailbanned.config.errors import read_toml, validate
from mailbanned.config.filterfile import load_filter
from mailbanned.config.options import File, JailTable, is_name
from mailbanned.filters import Filter
from mailbanned.jails import MANUAL, JailRules

Keys = tuple[str, ...]
# A source has one of these.
_PLACES = ("path", "journal")


def load(path: Path) -> Config:
    """The configuration at `path`. Raises ConfigError with everything that is wrong with it."""
    merged: dict[str, Any] = {}
    origins: dict[Keys, str] = {}
    more, problems = _additions(path.parent / "conf.d")
    for one in [path, *more]:
        tables, found = read_toml(one)
        problems += found
        _merge(merged, tables or {}, str(one), origins)
    if problems:
        raise ConfigError(problems)
    file, problems = validate(File, merged, str(path))
    jails = _tables(merged, "jails")
    filters, wrong = _filters(jails, path)
    problems += wrong + _crossed(jails, _tables(merged, "sources"), str(path))
    if file is None or problems:
        raise ConfigError([_placed(problem, str(path), origins) for problem in problems])
    every = {name: _rules(name, jail, file, filters) for name, jail in file.jails.items()}
    rules = tuple(every[name] for name, jail in file.jails.items() if jail.enabled)
    resting = tuple(every[name] for name, jail in file.jails.items() if not jail.enabled)
    return Config(path, file, rules, resting, filters, tuple(_hints(file)))


def _additions(folder: Path) -> tuple[list[Path], list[Problem]]:
    """The files of conf.d, as a shell's *.toml finds them: without hidden ones."""
    try:
        found = [path for path in folder.iterdir() if path.suffix == ".toml"]
    except FileNotFoundError:
        return [], []
    except OSError as error:
        remedy = "make it a folder that the user who runs this may read, or remove it"
        return [], [Problem(str(folder), "folder", f"cannot be read ({error.strerror})", remedy)]
    return sorted(path for path in found if not path.name.startswith(".")), []


def _merge(
    into: dict[str, Any], tables: dict[str, Any], file: str, origins: dict[Keys, str],
    above: Keys = (),
) -> None:  # fmt: skip
    """Adds the tables of one file and remembers which file said what."""
    if len(above) == 2 and above[0] == "sources" and not tables.keys().isdisjoint(_PLACES):
        # A source that is told to read elsewhere does not read where it did.
        for place in _PLACES:
            into.pop(place, None)
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


def _placed(problem: Problem, main: str, origins: dict[Keys, str]) -> Problem:
    """The problem with the file that gave its key (or the table that should have).

    Problems of filter files have keys of their own and know their file.
    """
    if problem.file != main:
        return problem
    known = {".".join(keys): file for keys, file in origins.items()}
    key = problem.key
    while key and key not in known:
        key = key.rpartition(".")[0]
    return replace(problem, file=known.get(key, problem.file))


def _tables(merged: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The [kind.NAME] tables as they were written, whether or not the rest is good."""
    tables = merged.get(kind)
    if not isinstance(tables, dict):
        return {}
    return {name: table for name, table in tables.items() if isinstance(table, dict)}


def _filters(
    jails: dict[str, dict[str, Any]], path: Path
) -> tuple[dict[str, Filter], list[Problem]]:
    """Every filter that a jail names, with its samples run."""
    filters: dict[str, Filter] = {}
    problems: list[Problem] = []
    first_named: dict[str, str] = {}
    for jail, table in jails.items():
        if is_name(table.get("filter")):
            first_named.setdefault(table["filter"], jail)
    for name, jail in first_named.items():
        folders = [path.parent / "filters", SHIPPED / "filters"]
        found, wrong = load_filter(name, folders, str(path), f"jails.{jail}.filter")
        problems += wrong
        if found is not None:
            filters[name] = found
    return filters, problems


def _crossed(
    jails: dict[str, dict[str, Any]], sources: dict[str, dict[str, Any]], path: str
) -> list[Problem]:
    """What only shows when tables are seen together."""
    found = []
    if MANUAL in jails:
        remedy = "choose another name"
        found.append(Problem(path, f"jails.{MANUAL}", "is kept for bans by hand", remedy))
    for name, jail in jails.items():
        source = jail.get("source")
        if is_name(source) and source not in sources:
            known = ", ".join(sources) or "none yet"
            what = f"there is no [sources.{source}]"
            remedy = f"name one of the sources ({known}) or add it"
            found.append(Problem(path, f"jails.{name}.source", what, remedy))
    return found


def _rules(name: str, jail: JailTable, file: File, filters: dict[str, Filter]) -> JailRules:
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
        bantime_factor=option("bantime_factor"),
        bantime_max=option("bantime_max"),
        bantime_forgive=option("bantime_forgive"),
        widen_after=option("widen_after"),
        widen_ipv4=option("widen_ipv4"),
        widen_ipv6=option("widen_ipv6"),
        unknown_accounts=jail.accounts == "unknown",
        ipv6_prefix=option("ipv6_prefix"),
        ignore=option("ignore"),
        ignore_own=option("ignore_own_addresses"),
        passdb=option("passdb"),
        outage=filters[jail.filter].outage,
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
