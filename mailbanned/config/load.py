"""Reads, merges and checks the configuration: the main file, then conf.d/*.toml in name order.

A later value replaces an earlier one; the rest of its table stays. A list is one value. Then each
jail gets the values of [defaults] that it does not set itself.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from mailbanned.config.config import SHIPPED, Config, ConfigError, Problem
from mailbanned.config.errors import read_toml, validate
from mailbanned.config.filterfile import load_filter
from mailbanned.config.options import File, JailTable
from mailbanned.configtypes import is_name
from mailbanned.filters import Filter
from mailbanned.jails import MANUAL, JailDefaults, JailSettings

Keys = tuple[str, ...]
# A source has exactly one of these keys.
_LOG_KEYS = ("path", "journal")
_JAIL_OPTIONS = tuple(field.name for field in fields(JailDefaults))


def load(path: Path) -> Config:
    """The configuration at `path`. Raises ConfigError with everything that is wrong with it."""
    merged, origins, problems = _read_files(path)
    if problems:
        raise ConfigError(problems)
    file, problems = validate(File, _inherit_defaults(merged), str(path))
    jails = _named_tables(merged, "jails")
    filters, filter_problems = _load_filters(jails, path)
    problems += filter_problems
    problems += _cross_check(jails, _named_tables(merged, "sources"), str(path))
    if file is None or problems:
        raise ConfigError([_locate(problem, str(path), origins) for problem in problems])
    settings = {
        name: _settings(name, jail, filters[jail.filter]) for name, jail in file.jails.items()
    }
    enabled = tuple(settings[name] for name, jail in file.jails.items() if jail.enabled)
    disabled = tuple(settings[name] for name, jail in file.jails.items() if not jail.enabled)
    return Config(path, file, enabled, disabled, filters, tuple(_find_warnings(file)))


def _read_files(path: Path) -> tuple[dict[str, Any], dict[Keys, str], list[Problem]]:
    """The merged tables of the main file and conf.d, and for each key the file that set it."""
    merged: dict[str, Any] = {}
    origins: dict[Keys, str] = {}
    more, problems = _conf_d_files(path.parent / "conf.d")
    for file in [path, *more]:
        tables, file_problems = read_toml(file)
        problems += file_problems
        _merge(merged, tables or {}, str(file), origins)
    return merged, origins, problems


def _conf_d_files(folder: Path) -> tuple[list[Path], list[Problem]]:
    """The files of conf.d in name order, without hidden ones, as a shell's *.toml finds them."""
    try:
        paths = [path for path in folder.iterdir() if path.suffix == ".toml"]
    except FileNotFoundError:
        return [], []
    except OSError as error:
        remedy = "make it a folder that the user who runs this may read, or remove it"
        return [], [Problem(str(folder), "folder", f"cannot be read ({error.strerror})", remedy)]
    return sorted(path for path in paths if not path.name.startswith(".")), []


def _merge(
    into: dict[str, Any],
    tables: dict[str, Any],
    file: str,
    origins: dict[Keys, str],
    above: Keys = (),
) -> None:
    """Adds the tables of one file and records which file set each key."""
    if len(above) == 2 and above[0] == "sources" and not tables.keys().isdisjoint(_LOG_KEYS):
        # A later file that moves a source need not unset its earlier path or journal.
        for key in _LOG_KEYS:
            into.pop(key, None)
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


def _inherit_defaults(merged: dict[str, Any]) -> dict[str, Any]:
    """The tables, each jail with the values of [defaults] that it does not set itself.

    A bad value of [defaults] is not inherited, so it is reported once, as one of [defaults].
    """
    defaults = merged.get("defaults")
    if not isinstance(defaults, dict):
        return merged
    _, problems = validate(JailDefaults, defaults, "")
    bad = {problem.key.partition(".")[0] for problem in problems}
    good = {key: defaults[key] for key in _JAIL_OPTIONS if key in defaults and key not in bad}
    jails = {name: {**good, **jail} for name, jail in _named_tables(merged, "jails").items()}
    return {**merged, "jails": {**merged["jails"], **jails}} if jails else merged


def _locate(problem: Problem, main: str, origins: dict[Keys, str]) -> Problem:
    """The problem with the file that set its key, or else the table around the key.

    A problem of a filter file names its file already.
    """
    if problem.file != main:
        return problem
    known = {".".join(keys): file for keys, file in origins.items()}
    key = problem.key
    while key and key not in known:
        key = key.rpartition(".")[0]
    return replace(problem, file=known.get(key, problem.file))


def _named_tables(merged: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The [kind.NAME] tables as the files have them, valid or not."""
    tables = merged.get(kind)
    if not isinstance(tables, dict):
        return {}
    return {name: table for name, table in tables.items() if isinstance(table, dict)}


def _load_filters(
    jails: dict[str, dict[str, Any]], path: Path
) -> tuple[dict[str, Filter], list[Problem]]:
    """Every filter that a jail names, after a run of its samples."""
    filters: dict[str, Filter] = {}
    problems: list[Problem] = []
    first_named: dict[str, str] = {}
    for jail, table in jails.items():
        if is_name(table.get("filter")):
            first_named.setdefault(table["filter"], jail)
    for name, jail in first_named.items():
        folders = [path.parent / "filters", SHIPPED / "filters"]
        loaded, filter_problems = load_filter(name, folders, str(path), f"jails.{jail}.filter")
        problems += filter_problems
        if loaded is not None:
            filters[name] = loaded
    return filters, problems


def _cross_check(
    jails: dict[str, dict[str, Any]], sources: dict[str, dict[str, Any]], path: str
) -> list[Problem]:
    """The problems between tables."""
    problems = []
    if MANUAL in jails:
        remedy = "choose another name"
        problems.append(Problem(path, f"jails.{MANUAL}", "is reserved for bans by hand", remedy))
    for name, jail in jails.items():
        source = jail.get("source")
        if is_name(source) and source not in sources:
            known = ", ".join(sources) or "none yet"
            what = f"there is no [sources.{source}]"
            remedy = f"name one of the sources ({known}) or add it"
            problems.append(Problem(path, f"jails.{name}.source", what, remedy))
    return problems


def _settings(name: str, jail: JailTable, jail_filter: Filter) -> JailSettings:
    return JailSettings(
        name=name,
        source=jail.source,
        filter=jail.filter,
        unknown_accounts=jail.accounts == "unknown",
        outage=jail_filter.outage,
        **{option: getattr(jail, option) for option in _JAIL_OPTIONS},
    )


def _find_warnings(file: File) -> list[str]:
    """What is allowed but surely not meant."""
    warnings = []
    strict = [name for name, jail in file.jails.items() if jail.accounts == "unknown"]
    if strict and file.accounts.backend == "none":
        warnings.append(
            f"[accounts] backend is none, so {', '.join(strict)} cannot recognise unknown accounts "
            "and will ban no address"
        )
    if not any(jail.enabled for jail in file.jails.values()):
        warnings.append("no jail is enabled, so no address will be banned")
    return warnings
