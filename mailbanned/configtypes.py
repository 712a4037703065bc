"""Declares options: tables as frozen dataclasses, and the types of values that TOML lacks.

A table of the configuration is a dataclass that inherits from Table. An option is one field of it,
made by `option`: its type says how the value is written and within which limits, its default and
its text become a row of docs/configuration.md. `mailbanned.config.errors` validates tables with
pydantic. Nothing here imports pydantic, so the daemon holds tables without it (it takes 8 MB).

Each parser raises ValueError("what is wrong; the remedy").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from mailbanned.address import Network, unmap_ipv4_network


class Table:
    """Base of all tables: unknown keys and values of other types (`maxretry = true`) are errors."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        # A strict dataclass takes only its own instances; a table of a file is a dict.
        return {**handler(source), "strict": False}


def option(default: Any, text: str) -> Any:
    """A field with its default and its text in the documentation."""
    return field(default=default, metadata={"text": text})


@dataclass(frozen=True, slots=True)
class Between:
    """Annotates a number with its limits, both included."""

    least: int
    most: int

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        return {**handler(source), "ge": self.least, "le": self.most}


@dataclass(frozen=True, slots=True)
class Parsed:
    """Annotates a type with the function that makes it from what the file says.

    form: how the value is written, for the documentation.
    """

    parse: Callable[[Any], Any]
    form: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        # core_schema.no_info_plain_validator_function(self.parse), without its import
        return {"type": "function-plain", "function": {"type": "no-info", "function": self.parse}}


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])", re.ASCII | re.IGNORECASE)
_DURATION_REMEDY = "write it like 90, '90s', '15m', '24h', '7d' or '1d12h'"
# A century (s). Dates cannot be computed far beyond it.
_LONGEST = 100 * 365 * 86400.0


def parse_duration(value: Any) -> float:
    """Seconds: a bare number, or the sum of numbers with the units ms, s, m, h, d, w."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"is not a duration; {_DURATION_REMEDY}")
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            seconds = float(text)
        elif text and not _DURATION.sub("", text).strip():
            seconds = sum(float(n) * _UNITS[unit.lower()] for n, unit in _DURATION.findall(text))
        else:
            raise ValueError(f"is not a duration; {_DURATION_REMEDY}")
    else:
        seconds = value
    if not 0 < seconds <= _LONGEST:
        raise ValueError(f"must be longer than 0 and at most a century; {_DURATION_REMEDY}")
    return float(seconds)


def parse_bantime(value: Any) -> float | None:
    """A duration, or None for "permanent" and -1."""
    if value in ("permanent", -1, "-1") and not isinstance(value, bool):
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or 'permanent'") from None


def parse_network(value: Any) -> Network:
    """An address or a network in CIDR notation. Drops host bits; unmaps IPv4-mapped IPv6."""
    try:
        if not isinstance(value, str):
            raise ValueError
        return unmap_ipv4_network(ip_network(value.strip(), strict=False))
    except ValueError:
        raise ValueError(
            "is not an address or network; write it like '192.0.2.7', '198.51.100.0/24' or "
            "'2001:db8::/32'"
        ) from None


def parse_networks(value: Any) -> tuple[Network, ...]:
    """A list of addresses and networks."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("is not a list; write it like ['192.0.2.7', '198.51.100.0/24']")
    networks = []
    for text in value:
        try:
            networks.append(parse_network(text))
        except ValueError as error:
            raise ValueError(f"{text!r} {error}") from None
    return tuple(networks)


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


def is_name(value: Any) -> bool:
    """Whether the value may be the name of a source, a jail or a filter."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def parse_name(value: Any) -> str:
    """The name of a source, a jail or a filter."""
    if not is_name(value):
        raise ValueError("is not a name; use at most 64 letters, digits, '-', '_' and '.'")
    return str(value)


def parse_zone(value: Any) -> ZoneInfo:
    """A time zone by its IANA name."""
    try:
        if not isinstance(value, str) or not value:
            raise ValueError
        return ZoneInfo(value)
    except (ValueError, OSError, KeyError):  # an unknown name is a KeyError
        raise ValueError(
            "is not a known time zone; use an IANA name such as 'Europe/Berlin' or 'UTC'"
        ) from None


def parse_file_path(value: Any) -> Path:
    """The path of a file; "/" and "" name none."""
    if not isinstance(value, str) or "\0" in value or not Path(value).name:
        raise ValueError("is not the path of a file; name one")
    return Path(value)


Duration = Annotated[float, Parsed(parse_duration, "duration")]
BanTime = Annotated[float | None, Parsed(parse_bantime, 'duration or `"permanent"`')]
Networks = Annotated[tuple[Network, ...], Parsed(parse_networks, "list of addresses and networks")]
Name = Annotated[str, Parsed(parse_name, "text")]
TimeZone = Annotated[ZoneInfo, Parsed(parse_zone, "name of a time zone")]
FilePath = Annotated[Path, Parsed(parse_file_path, "path")]
