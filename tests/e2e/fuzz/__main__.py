"""`python -m tests.e2e.fuzz [TARGET...] [--seconds N]`: looks for inputs that break what must hold.

With atheris (`pip install -e '.[fuzz]'`) coverage guides it, and what it learns is kept for the
next time, in ~/.cache/mailbanned/fuzz/TARGET. Without, samples are mutated blindly. What is found
is printed as a line for a test; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.fuzz.targets import TARGETS

_REMEDY = (
    "atheris is not installed, so nothing guides the mutations; "
    "pip install -e '.[fuzz]' (it has wheels for Python 3.11 to 3.14 on Linux)"
)
_LONGEST = 4096
_ONE_INPUT_S = 25


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target; 60 by default")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations")
    options = parser.parse_args(arguments)
    if unknown := set(options.targets) - TARGETS.keys():
        parser.error(f"there is no target {min(unknown)!r}; known are {', '.join(TARGETS)}")
    guided = importlib.util.find_spec("atheris") is not None
    if not guided:
        print(_REMEDY, file=sys.stderr)
    good = [_fuzz(name, options, guided) for name in options.targets or TARGETS]
    return 0 if all(good) else 1


def _fuzz(name: str, options: argparse.Namespace, guided: bool) -> bool:
    """One target; whether nothing was found."""
    print(f"=== {name}: {options.seconds} s, seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mailbanned-fuzz-") as folder:
        finds = Path(folder, "finds")
        finds.mkdir()
        argv = [sys.executable, "-m", f"tests.e2e.fuzz.{'guided' if guided else 'plain'}", name]
        if guided:
            argv += [
                f"-max_total_time={options.seconds}", f"-seed={options.seed}",
                f"-max_len={_LONGEST}", f"-timeout={_ONE_INPUT_S}", f"-artifact_prefix={finds}/",
                "-print_final_stats=1", "-verbosity=1", str(_corpus(name)),
            ]  # fmt: skip
        else:
            argv += [str(finds), str(options.seconds), str(options.seed)]
        # atheris ends its process without tidying up.
        environment = {**os.environ, "TMPDIR": folder}
        status = subprocess.run(argv, check=False, env=environment).returncode
        print(told(name, finds), flush=True)
    return status == 0


def told(name: str, finds: Path) -> str:
    """What was found, each as a line for a test."""
    lines = [
        f"{find.name.partition('-')[0]} in {name}; as a line for a test:\n"
        f"    {TARGETS[name].example.format(data=find.read_bytes())}\n"
        for find in sorted(finds.iterdir())
    ]
    return "".join(lines) or f"nothing is found in {name}"


def _corpus(name: str) -> Path:
    """The folder of what has been learnt about a target; the seeds are in it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "mailbanned" / "fuzz" / name
    folder.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name].seeds:
        (folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    return folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
