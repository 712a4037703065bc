"""What the benchmarks have found, as Markdown for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from tests.bench.plot import FOLDER
from tests.bench.table import Matrix, Row

#: By title, what each benchmark has found.
Results = Mapping[str, Sequence[Row | Matrix]]

_PROGRAMS = {
    "firewalld": ("/usr/bin/python3", "-c", "from firewall import config; print(config.VERSION)"),
    "nftables": ("nft", "--version"),
    "fail2ban": ("fail2ban-server", "--version"),
    "sshguard": ("sshguard", "-v"),
}


def machine() -> dict[str, str]:
    """When and where this is, and which versions of what are compared."""
    found = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "mailbanned": version("mailbanned"),
    }
    for name, command in _PROGRAMS.items():
        try:
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        except FileNotFoundError:
            continue
        found[name] = said.strip().partition("\n")[0]
    return found


def save(results: Results, folder: Path = FOLDER) -> None:
    """Writes results.md and results.json."""
    where = machine()
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        **where,
        "results": {title: [asdict(one) for one in found] for title, found in results.items()},
    }
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    parts = ["# Benchmarks", "", "Written by `./dev bench --save`; do not edit.", ""]
    parts += [f"- {name}: {text}" for name, text in where.items()]
    for title, found in results.items():
        parts += ["", f"## {title}", *_rows([one for one in found if isinstance(one, Row)])]
        for one in found:
            if isinstance(one, Matrix):
                parts += ["", *_table(one.head, one.rows)]
    (folder / "results.md").write_text("\n".join(parts) + "\n")


def _rows(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    lines = [(row.what.strip(), row.value, row.aim, row.note) for row in rows]
    return ["", *_table(("what", "how much", "aim", "beside"), lines)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    return lines + [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
