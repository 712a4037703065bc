"""The document of `mailbanned test --explain` as text: the line, the jails, then the patterns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click

from mailbanned.cli.common import shown, span

_WIDTH = 100
_PICTURES = 2
_SAME = ("prefix", "at", "assumed", "text")


def text(document: dict[str, Any]) -> str:
    """The explanation for people. Sources that see the same line are told of together."""
    groups: list[list[dict[str, Any]]] = []
    for source in document["sources"]:
        for group in groups:
            if all(source[key] == group[0][key] for key in _SAME):
                group.append(source)
                break
        else:
            groups.append([source])
    out: list[str] = []
    for group in groups:
        if len(groups) > 1:
            names = ", ".join(source["source"] for source in group)
            out += [click.style(f"In source {names}", bold=True), ""]
        out += [*_head(group[0]), "", *_verdicts(group), "", *_patterns(group), ""]
    return "\n".join(out[:-1])


def _head(source: dict[str, Any]) -> Iterable[str]:
    """How the line was taken apart."""
    prefix = source["prefix"]
    if prefix is None:
        yield "prefix  unwrapped: the text is the message as if it had come alone"
    else:
        yield f"prefix  {prefix!r}" if prefix else "prefix  none"
    yield f"time    {_time(source)}"
    times = f"   (stands for {source['times']} such lines)" if source["times"] > 1 else ""
    yield f"text    {shown(source['text'])}{times}"


def _time(source: dict[str, Any]) -> str:
    if source["at"] is None:
        return "none: the line does not begin with a stamp that is known"
    at = datetime.fromisoformat(source["at"])
    ahead = (at - datetime.now().astimezone()).total_seconds()
    far = f"{span(abs(ahead))} {'ahead' if ahead > 0 else 'ago'}"
    assumed = [f"{what} {value}" for what, value in source["assumed"].items()]
    return f"{source['at']} ({far})" + (f", assuming {' and '.join(assumed)}" if assumed else "")


def _verdicts(group: Sequence[dict[str, Any]]) -> Iterable[str]:
    """What each jail does with the line; in one sentence if none does anything."""
    jails = [jail for source in group for jail in source["jails"]]
    verdicts = {jail["verdict"] for jail in jails}
    if len(jails) > 1 and len(verdicts) == 1 and not any(jail["counts"] for jail in jails):
        yield f"all {len(jails)} jails  {verdicts.pop()}"
    else:
        wide = max(len(jail["name"]) for jail in jails)
        for jail in jails:
            style = "red" if jail["counts"] else None
            yield f"jail {jail['name'].ljust(wide)}  {click.style(jail['verdict'], fg=style)}"
    suspects = [one["suspect"] for one in group if one["suspect"] is not None]
    if suspects and not any(_fitting(one) for source in group for one in source["filters"]):
        yield f"It looks like a failure, since {suspects[0]!r} is in it, but fits no pattern."


def _fitting(one: dict[str, Any]) -> bool:
    return any(pattern["fits"] for pattern in one["patterns"])


def _patterns(group: Sequence[dict[str, Any]]) -> Iterable[str]:
    """What every pattern says, in as few words as possible; a picture of what comes furthest."""
    filters = {one["name"]: one for source in group for one in source["filters"]}
    if not any(map(_fitting, filters.values())):
        yield from _furthest(filters)
    if filters:
        yield "How many bytes of the text fit, what is wanted behind them, and by which patterns:"
    for name, one in filters.items():
        yield from _filter(name, one["patterns"])


def _furthest(filters: dict[str, dict[str, Any]]) -> Iterable[str]:
    """The place where most fits; of patterns that come as far, those that find failures."""
    tried = [(name, p) for name, one in filters.items() for p in one["patterns"] if "shown" in p]
    best = max(((p["fits_bytes"], p["kind"] == "failure") for _, p in tried), default=(0, True))
    pictures: dict[str, list[str]] = {}
    for name, pattern in tried:
        if (pattern["fits_bytes"], pattern["kind"] == "failure") == best and best[0]:
            pictures.setdefault(pattern["shown"], []).append(f"{name}/{pattern['name']}")
    for picture, names in list(pictures.items())[:_PICTURES]:
        yield f"{' and '.join(names)} {'comes' if len(names) == 1 else 'come'} furthest:"
        yield from textwrap.indent(picture, "  ").split("\n")
        yield ""


def _filter(name: str, patterns: Sequence[dict[str, Any]]) -> Iterable[str]:
    """The pattern that decides; of the others up to which byte they fit, and what they want then:
    those first that come furthest.
    """
    deciding = next((pattern for pattern in patterns if pattern.get("decides")), None)
    stopped: dict[tuple[int, str], list[str]] = {}
    for one in patterns:
        if not one["fits"]:
            place = one["fits_bytes"], f"`{shown(one['wanted'])}`"
            stopped.setdefault(place, []).append(one["name"])
    if len(stopped) == 1 and not deciding and (0, wanted := next(iter(stopped))[1]) in stopped:
        yield f"filter {name}: nothing fits, since the text does not begin with {wanted}"
        return
    what = f"{deciding['name']} fits: {_found(deciding)}" if deciding else "nothing fits"
    yield click.style(f"filter {name}: {what}", bold=deciding is not None)
    later = [one["name"] for one in patterns if one["fits"] and one is not deciding]
    if later:
        yield f"        fits too, but comes later: {', '.join(later)}"
    wide = max((len(wanted) for _, wanted in stopped), default=0)
    for (at, wanted), names in sorted(stopped.items(), key=lambda one: -one[0][0]):
        start = f"  {at:4}  {wanted.ljust(wide)}  "
        yield from textwrap.wrap(
            start + ", ".join(names), max(_WIDTH, len(start) + 30), break_on_hyphens=False,
            subsequent_indent=" " * len(start),
        )  # fmt: skip


def _found(pattern: dict[str, Any]) -> str:
    what = {"failure": "a failure", "ignore": "no failure", "success": "a good login"}
    words = [what.get(pattern["kind"], "an outage")]
    words += [f"of {pattern['address']}"] if pattern["address"] else []
    words += [f"as {pattern['user']!r}"] if pattern["user"] is not None else []
    told = " ".join(words)
    for key in ("session", "passdb"):
        told += f", {key} {pattern[key]!r}" if pattern.get(key) is not None else ""
    return told
