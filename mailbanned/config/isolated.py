"""Reads a configuration in a process of its own, for the daemon.

So the daemon does not carry the library that validates (12 MB), and is not held up for the time
that a reload takes to validate and to run all samples. What comes back through the pipe was
pickled by our own code; patterns are compiled anew on arrival.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mailbanned.config.config import Config, ConfigError, Problem


async def load_apart(path: Path) -> Config:
    """As load. Raises ConfigError also if the process itself fails; its traceback is on stderr."""
    try:
        # -P: a folder named mailbanned in the working directory is not ours.
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", __name__, str(path),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError:  # no process to be had: then here, at the price of the memory
        result = await asyncio.to_thread(_answer, path)
    else:
        result = await _result(child, path)
    if isinstance(result, Config):
        return result
    raise ConfigError(result)


async def _result(child: asyncio.subprocess.Process, path: Path) -> Config | list[Problem]:
    try:
        answer, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        what = f"the process that reads it ended with {child.returncode}"
        return [Problem(str(path), "file", what, "look at its message on stderr")]
    result: Config | list[Problem] = pickle.loads(answer)  # noqa: S301 - from our own child
    return result


def plain(value: Any) -> Any:
    """A validated table as a plain namespace of its options; all other values as they are."""
    options = getattr(type(value), "model_fields", None)
    if options is not None:
        return SimpleNamespace(**{key: plain(getattr(value, key)) for key in options})
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value


def _answer(path: Path) -> Config | list[Problem]:
    from mailbanned.config.load import load

    try:
        config = load(path)
    except ConfigError as error:
        return error.problems
    filters = {name: replace(one, samples=()) for name, one in config.filters.items()}
    return replace(config, file=plain(config.file), filters=filters)


if __name__ == "__main__":
    sys.stdout.buffer.write(pickle.dumps(_answer(Path(sys.argv[1]))))
