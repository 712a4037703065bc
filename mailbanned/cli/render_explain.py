"""The document of `mailbanned test --explain` as text: the line, the jails, then the patterns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click

from mailbanned.clock import format_duration
from mailbanned.escape import escape_control

_WIDTH = 100
_MAX_EXCERPTS = 2
# Sources for which these are equal are shown together.
_SHARED_KEYS = ("prefix", "at", "assumed", "text")


def render(document: dict[str, Any]) -> str:
    """The explanation as text. Sources that parse the line alike are shown together."""
    groups: list[list[dict[str, Any]]] = []
    for source in document["sources"]:
        for group in groups:
            if all(source[key] == group[0][key] for key in _SHARED_KEYS):
                group.append(source)
                break
        else:
            groups.append([source])
    out: list[str] = []
    for group in groups:
        if len(groups) > 1:
            names = ", ".join(source["source"] for source in group)
            out += [click.style(f"In source {names}", bold=True), ""]
        out += [
            *_render_line(group[0]),
            "",
            *_render_jails(group),
            "",
            *_render_patterns(group),
            "",
        ]
    return "\n".join(out[:-1])


def _render_line(source: dict[str, Any]) -> Iterable[str]:
    """The parts of the line."""
    prefix = source["prefix"]
    if prefix is None:
        yield "prefix  unwrapped: the text is the message as if it had come alone"
    else:
        yield f"prefix  {prefix!r}" if prefix else "prefix  none"
    yield f"time    {_describe_time(source)}"
    times = f"   (repeated {source['times']} times)" if source["times"] > 1 else ""
    yield f"text    {escape_control(source['text'])}{times}"


def _describe_time(source: dict[str, Any]) -> str:
    if source["at"] is None:
        return "none: the line does not begin with a known timestamp"
    at = datetime.fromisoformat(source["at"])
    ahead = (at - datetime.now().astimezone()).total_seconds()
    distance = f"{format_duration(abs(ahead))} {'ahead' if ahead > 0 else 'ago'}"
    assumed = [f"{what} {value}" for what, value in source["assumed"].items()]
    return f"{source['at']} ({distance})" + (
        f", assuming {' and '.join(assumed)}" if assumed else ""
    )


def _render_jails(group: Sequence[dict[str, Any]]) -> Iterable[str]:
    """What each jail does with the line; one sentence if no jail does anything."""
    jails = [jail for source in group for jail in source["jails"]]
    verdicts = {jail["verdict"] for jail in jails}
    if len(jails) > 1 and len(verdicts) == 1 and not any(jail["counts"] for jail in jails):
        yield f"all {len(jails)} jails  {verdicts.pop()}"
    else:
        width = max(len(jail["name"]) for jail in jails)
        for jail in jails:
            style = "red" if jail["counts"] else None
            yield f"jail {jail['name'].ljust(width)}  {click.style(jail['verdict'], fg=style)}"
    suspects = [source["suspect"] for source in group if source["suspect"] is not None]
    filters = [filter_ for source in group for filter_ in source["filters"]]
    if suspects and not any(map(_fits, filters)):
        yield f"It looks like a failure, since {suspects[0]!r} is in it, but fits no pattern."


def _fits(filter_: dict[str, Any]) -> bool:
    return any(pattern["fits"] for pattern in filter_["patterns"])


def _render_patterns(group: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Where each pattern stops, and an excerpt for the one that comes furthest."""
    filters = {
        filter_["name"]: filter_["patterns"] for source in group for filter_ in source["filters"]
    }
    if not any(pattern["fits"] for patterns in filters.values() for pattern in patterns):
        yield from _render_furthest(filters)
    if filters:
        yield "Patterns that do not match: matched bytes, expected next, names:"
    for name, patterns in filters.items():
        yield from _render_filter(name, patterns)


def _render_furthest(filters: dict[str, Sequence[dict[str, Any]]]) -> Iterable[str]:
    """Excerpts of where the best patterns stop; among equals, those that find failures."""
    tried = [
        ((pattern["fits_bytes"], pattern["kind"] == "failure"), name, pattern)
        for name, patterns in filters.items()
        for pattern in patterns
        if "shown" in pattern
    ]
    best = max((rank for rank, _, _ in tried), default=(0, True))
    excerpts: dict[str, list[str]] = {}
    for rank, name, pattern in tried:
        if rank == best and best[0]:
            excerpts.setdefault(pattern["shown"], []).append(f"{name}/{pattern['name']}")
    for excerpt, names in list(excerpts.items())[:_MAX_EXCERPTS]:
        yield f"{' and '.join(names)} {'comes' if len(names) == 1 else 'come'} furthest:"
        yield from textwrap.indent(excerpt, "  ").split("\n")
        yield ""


def _render_filter(name: str, patterns: Sequence[dict[str, Any]]) -> Iterable[str]:
    """The pattern that decides; then where the others stop, the furthest first."""
    deciding = next((pattern for pattern in patterns if pattern.get("decides")), None)
    stopped: dict[tuple[int, str], list[str]] = {}
    for pattern in patterns:
        if not pattern["fits"]:
            place = pattern["fits_bytes"], f"`{escape_control(pattern['wanted'])}`"
            stopped.setdefault(place, []).append(pattern["name"])
    if len(stopped) == 1 and not deciding and (0, wanted := next(iter(stopped))[1]) in stopped:
        yield f"filter {name}: nothing fits, since the text does not begin with {wanted}"
        return
    what = f"{deciding['name']} fits: {_describe_match(deciding)}" if deciding else "nothing fits"
    yield click.style(f"filter {name}: {what}", bold=deciding is not None)
    later = [pattern["name"] for pattern in patterns if pattern["fits"] and pattern is not deciding]
    if later:
        yield f"        also matches, later in the list: {', '.join(later)}"
    width = max((len(wanted) for _, wanted in stopped), default=0)
    for (at, wanted), names in sorted(stopped.items(), key=lambda item: -item[0][0]):
        start = f"  {at:4}  {wanted.ljust(width)}  "
        yield from textwrap.wrap(
            start + ", ".join(names),
            max(_WIDTH, len(start) + 30),
            break_on_hyphens=False,
            subsequent_indent=" " * len(start),
        )


def _describe_match(pattern: dict[str, Any]) -> str:
    what = {"failure": "a failure", "ignore": "no failure", "success": "a good login"}
    parts = [what.get(pattern["kind"], "an outage")]
    parts += [f"of {pattern['address']}"] if pattern["address"] else []
    parts += [f"as {pattern['user']!r}"] if pattern["user"] is not None else []
    text = " ".join(parts)
    for key in ("session", "passdb"):
        text += f", {key} {pattern[key]!r}" if pattern.get(key) is not None else ""
    return text
