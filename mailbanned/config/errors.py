"""Finds what is wrong with a file: its syntax, its keys, its values; each with the remedy.

Nothing here stops at the first error: whoever mends a file should see all of them at once.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mailbanned.config.config import Problem


class Strict(BaseModel):
    """A table of the configuration: immutable; unknown keys and other types are errors.

    Nothing is taken for something else: `maxretry = true` is no 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Table = TypeVar("Table", bound=Strict)


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
        return None, [Problem(str(path), "syntax", f"is not TOML: {error}", "mend that line")]


def validate(model: type[Table], tables: Any, file: str) -> tuple[Table | None, list[Problem]]:
    """The tables as a model, or None and everything that is wrong with them."""
    try:
        return model.model_validate(tables), []
    except ValidationError as error:
        return None, [_problem(model, details, file) for details in error.errors()]


def _problem(model: type[BaseModel], details: Any, file: str) -> Problem:
    # "function-after[...]" and the like are pydantic's own steps, not keys of the file.
    steps = [str(step) for step in details["loc"] if "[" not in str(step)]
    key, given = ".".join(steps), details["input"]
    if details["type"] == "extra_forbidden":
        keys = sorted(_keys(model, steps[:-1]))
        near = get_close_matches(steps[-1], keys, n=1, cutoff=0.5)
        remedy = f"remove it, or name one of {', '.join(keys)}"
        if near:
            remedy = f"did you mean {near[0]!r}?"
        return Problem(file, key, "is not a known key", remedy)
    if details["type"] == "missing":
        return Problem(file, key, "is missing", "add it")
    what, _, remedy = str(details["msg"]).removeprefix("Value error, ").partition("; ")
    if details["type"] in ("model_type", "dict_type"):
        what, remedy = "is not a table", f"write it as [{key}]"
    if details["type"] == "too_short" and isinstance(given, list):
        what, remedy = "is an empty list", "name at least one, or leave the key out"
    shown = f" (it is {given!r})" if isinstance(given, (str, int, float, bool)) else ""
    return Problem(file, key or "file", f"{what}{shown}", remedy or "correct the value")


def _keys(model: Any, path: list[str]) -> list[str]:
    """The keys that the table at `path` may have."""
    for step in path:
        field = getattr(model, "model_fields", {}).get(step)
        if field is None:
            break
        model = field.annotation
        arguments = getattr(model, "__args__", ())
        if arguments:  # dict[str, Table] and list[Table]: the table is the last argument
            model = arguments[-1]
    # A step that is a name of the file's own (jails.NAME) or an index leaves the model as it is.
    return list(getattr(model, "model_fields", {}))
