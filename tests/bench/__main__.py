"""`python -m tests.bench [NAME...]`: all benchmarks, or those named.

--check judges short forms of them: exit status 1 if an aim that is a ratio or a size is missed.
--save runs all of them, and writes docs/benchmarks; --save --resume goes on with such a run.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys

from tests.bench.check import check
from tests.bench.checkout import Unclean
from tests.bench.registry import BENCHMARKS, lacking
from tests.bench.save import run_and_save
from tests.bench.table import show


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("./dev bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--check", action="store_true", help="judge the ratios of short forms")
    parser.add_argument("--save", action="store_true", help="run all, and write docs/benchmarks")
    parser.add_argument("--resume", action="store_true", help="go on with a --save that broke off")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]!r}; known are {', '.join(BENCHMARKS)}")
    if options.save and (options.names or options.check):
        parser.error("--save runs all benchmarks in full: the results are to be of one commit")
    if options.resume and not options.save:
        parser.error("--resume goes with --save")
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    chosen = {name: BENCHMARKS[name] for name in options.names or BENCHMARKS}
    if options.save:
        return _save(resume=options.resume)
    if options.check:
        strict = "CI" in os.environ
        verdict = check(chosen)
        verdict.show(strict)
        return verdict.status(strict)
    for benchmark in chosen.values():
        if reason := benchmark.missing():
            print(f"\n{benchmark.title}: left out, {reason}")
        else:
            show(benchmark.title, benchmark.run())
    return 0


def _save(*, resume: bool) -> int:
    if absent := lacking():
        print(f"nothing is saved, for not all can run: {'; '.join(absent)}", file=sys.stderr)
        return 2
    try:
        run_and_save(BENCHMARKS, resume=resume)
    except Unclean as error:
        print(f"nothing is saved: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
