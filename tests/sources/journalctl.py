"""A stand-in for journalctl: prints records from a file and follows it, as told by its options.

    python journalctl.py FILE [journalctl's options]

FILE has one JSON record a line, with cursors "s=...;i=NUMBER" in their order; `--cursor` means the
record itself or, if it is gone, the first one after it. Matches are not looked at. A line "!exit N
WORDS" makes it say WORDS on stderr and end with N (once: the line is passed over in later runs);
"!deaf" makes it do nothing at SIGTERM but touch FILE.asked; "!stuck" makes the first run show
nothing more. Without --follow it ends when it has shown what there is. Each start is noted in
FILE.starts, with its process id and options.
"""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path


def main(journal: Path, options: list[str]) -> None:
    starts = journal.with_suffix(".starts")
    runs = len(starts.read_text().splitlines()) if starts.exists() else 0
    with starts.open("a") as file:
        file.write(json.dumps([os.getpid(), *options]) + "\n")
    cursors = [o for o in options if o.startswith("--cursor=")]
    passed, exits, position = not cursors, 0, 0
    while os.getppid() != 1:
        lines = journal.read_text().splitlines(keepends=True)
        told: list[str] = []
        for line in lines[position:]:
            if not line.endswith("\n"):
                break
            position += 1
            if line.startswith("!exit"):
                exits += 1
                if exits > runs:
                    _print(told)
                    _, code, words = line.rstrip().split(" ", 2)
                    print(words, file=sys.stderr)
                    raise SystemExit(int(code))
            elif line.startswith("!deaf"):
                signal.signal(signal.SIGTERM, lambda *_: journal.with_suffix(".asked").touch())
            elif line.startswith("!stuck"):
                if not runs:
                    position -= 1
                    break
            elif passed or (passed := _number(line) >= _number(cursors[0])):
                told.append(line)
        _print(told)
        if "--follow" not in options:
            break
        time.sleep(0.005)


def _number(text: str) -> int:
    found = re.search(r";i=([0-9a-f]+)", text)
    return int(found[1], 16) if found else 0


def _print(lines: list[str]) -> None:
    sys.stdout.write("".join(lines))
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
