"""What the benchmarks have found, as Markdown for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.plot import wave_plot
from tests.bench.table import Found, Matrix, Plot, Row, figures_of, rows_of

_PROGRAMS = {
    "firewalld": ("/usr/bin/python3", "-c", "from firewall import config; print(config.VERSION)"),
    "nftables": ("nft", "--version"),
    "fail2ban": ("fail2ban-server", "--version"),
    "sshguard": ("sshguard", "-v"),
}


@dataclass(frozen=True, slots=True)
class Report:
    """A run of all benchmarks: the commit, and by name their titles and what they have found."""

    commit: str
    titles: Mapping[str, str]
    results: Mapping[str, Found]


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
            said = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            continue
        found[name] = (said.stdout or said.stderr).strip().partition("\n")[0]
    return found


def write(report: Report, folder: Path) -> None:
    """Writes results.md, results.json and the plots."""
    where = {"commit": report.commit, **machine()}
    folder.mkdir(parents=True, exist_ok=True)
    figures = [
        _figure(name, row) for name, found in report.results.items() for row in figures_of(found)
    ]
    document = {**where, "figures": figures}
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    parts = ["# Benchmarks", "", "Written by `./dev bench --save`; do not edit.", ""]
    parts += [f"- {name}: {text}" for name, text in where.items()]
    for name, found in report.results.items():
        parts += ["", f"## {report.titles[name]}", *_rows(name, rows_of(found))]
        for part in found:
            if isinstance(part, Matrix):
                parts += ["", *_table(part.head, part.rows)]
            elif isinstance(part, Plot):
                wave_plot(part, folder / "wave.svg")
    (folder / "results.md").write_text("\n".join(parts) + "\n")


def _figure(benchmark: str, row: Row) -> dict[str, Any]:
    """A figure for programs, its key in front."""
    if row.number is None or not row.key:
        raise ValueError(f"{benchmark}: {row.what.strip()!r} has no key or no number")
    return {
        "key": f"{benchmark}.{row.key}",
        "number": round(row.number, 6),
        "unit": row.unit,
        "kind": row.kind.value,
        "what": row.what.strip(),
        "aim": row.aim,
        "met": row.met,
        "note": row.note,
    }


def _rows(benchmark: str, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    lines = [
        (
            row.what.strip(),
            row.value,
            f"{row.aim}, missed" if row.met is False else row.aim,
            row.note,
            f"`{benchmark}.{row.key}`",
        )
        for row in rows
    ]
    return ["", *_table(("what", "how much", "aim", "beside", "in results.json"), lines)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    return lines + [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
