"""Loads a configuration in a child process, for the daemon.

The daemon so saves the 8 MB of pydantic, and goes on at full speed while a reload validates and
runs all samples. The child sends a pickled Config; patterns are compiled again on arrival.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from dataclasses import replace
from pathlib import Path

from mailbanned.config.config import Config, ConfigError, Problem
from mailbanned.subprocesses import run


async def load_isolated(path: Path) -> Config:
    """Loads like `load`. Raises ConfigError also if the child itself fails."""
    try:
        # -P: do not import from a folder named mailbanned in the working directory.
        child = await run(sys.executable, "-P", "-m", __name__, str(path))
    except OSError:  # no process can be started: load here, at the price of the memory
        result = await asyncio.to_thread(_load_or_problems, path)
    else:
        if child.status != 0:
            sys.stderr.write(f"{child.complaint}\n")
            what = f"the process that reads it ended with {child.status}"
            raise ConfigError([Problem(str(path), "file", what, "look at its message on stderr")])
        result = pickle.loads(child.output)  # noqa: S301 - from our own child
    if isinstance(result, Config):
        return result
    raise ConfigError(result)


def _load_or_problems(path: Path) -> Config | list[Problem]:
    from mailbanned.config.load import load

    try:
        config = load(path)
    except ConfigError as error:
        return error.problems
    # The samples have been run; the daemon need not keep them.
    return replace(
        config, filters={name: replace(f, samples=()) for name, f in config.filters.items()}
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(pickle.dumps(_load_or_problems(Path(sys.argv[1]))))
