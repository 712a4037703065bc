"""Finds everything that is wrong with a file: syntax, keys, values; each with the remedy."""

from __future__ import annotations

import tomllib
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from mailbanned.config.config import Problem
from mailbanned.configtypes import Table

AnyTable = TypeVar("AnyTable", bound=Table)
# Made once for each type of table.
_VALIDATORS: dict[type[Table], TypeAdapter[Any]] = {}


def read_toml(path: Path) -> tuple[dict[str, Any] | None, list[Problem]]:
    """The file's tables, or None and the reason why it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), []
    except FileNotFoundError:
        return None, [Problem(str(path), "file", "does not exist", "create it or name another")]
    except OSError as error:
        remedy = "make it readable for the user that runs this"
        return None, [Problem(str(path), "file", f"cannot be read ({error.strerror})", remedy)]
    except UnicodeDecodeError as error:
        remedy = "save the file as UTF-8"
        return None, [Problem(str(path), "file", f"is not UTF-8 at byte {error.start}", remedy)]
    except (ValueError, RecursionError) as error:  # tomllib has no own error for huge numbers
        return None, [Problem(str(path), "syntax", f"is not TOML: {error}", "correct that line")]


def validate(
    table: type[AnyTable], values: Any, file: str
) -> tuple[AnyTable | None, list[Problem]]:
    """The values as a table, or None and everything that is wrong with them."""
    try:
        if table not in _VALIDATORS:
            _VALIDATORS[table] = TypeAdapter(table)
        return _VALIDATORS[table].validate_python(values), []
    except ValidationError as error:
        return None, [_to_problem(table, details, file) for details in error.errors()]


def _to_problem(table: type[Table], details: Any, file: str) -> Problem:
    # "[key]" and the like are pydantic's own steps, not keys of the file.
    steps = [str(step) for step in details["loc"] if "[" not in str(step)]
    key, value = ".".join(steps), details["input"]
    if details["type"] == "unexpected_keyword_argument":
        known = sorted(_known_keys(table, steps[:-1]))
        near = get_close_matches(steps[-1], known, n=1, cutoff=0.5)
        listed = f"remove it, or name one of {', '.join(known)}"
        return Problem(
            file, key, "is not a known key", f"did you mean {near[0]!r}?" if near else listed
        )
    if details["type"] == "missing":
        return Problem(file, key, "is missing", "add it")
    what, _, remedy = str(details["msg"]).removeprefix("Value error, ").partition("; ")
    if details["type"] in ("dataclass_type", "dict_type"):
        what, remedy = "is not a table", f"write it as [{key}]"
    if details["type"] == "too_short":
        what, remedy = "is an empty list", "add at least one"
    given = f" (it is {value!r})" if isinstance(value, (str, int, float, bool)) else ""
    return Problem(file, key or "file", f"{what}{given}", remedy or "correct the value")


def _known_keys(table: Any, path: list[str]) -> list[str]:
    """The keys that the table at `path` may have."""
    for step in path:
        hints = get_type_hints(table) if is_dataclass(table) else {}
        if step in hints:
            table = hints[step]
            # dict[Name, Table] and list[Table]: the table is the last argument. A step that is a
            # NAME or an index stays at this table.
            table = (get_args(table) or (table,))[-1]
    return [field.name for field in fields(table)] if is_dataclass(table) else []
