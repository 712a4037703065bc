"""One target under atheris, which keeps what reaches new code. The only file that knows atheris.

`python -m tests.e2e.fuzz` starts it as a process of its own for each target, since the library ends
its process when time is up or something was found: with status 0 or another.
"""

from __future__ import annotations

import sys

import atheris


def main(target: str, *options: str) -> None:
    """Runs until its options say stop; they are those of libFuzzer."""
    # Only what is imported in here is watched.
    with atheris.instrument_imports(include=["mailbanned"]):
        from tests.e2e.fuzz.targets import TARGETS
    with TARGETS[target].open() as check:
        atheris.Setup([sys.argv[0], *options], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
