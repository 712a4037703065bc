"""The value types of the configuration: durations, addresses, time zones.

Each parser raises ValueError("what is wrong; the remedy").
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator

from mailbanned.model import Network, fold_network

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])", re.ASCII | re.IGNORECASE)
_FORM = "write it like 90, '90s', '15m', '24h', '7d' or '1d12h'"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
# A century; beyond it dates cannot be computed with, and nobody means it.
_LONGEST = 100 * 365 * 86400.0


def duration(value: Any) -> float:
    """Seconds: a bare number, or numbers with s, m, h, d, w (ms for short ones), added up."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"is not a duration; {_FORM}")
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            seconds = float(text)
        elif text and not _DURATION.sub("", text).strip():
            seconds = sum(float(n) * _SECONDS[u.lower()] for n, u in _DURATION.findall(text))
        else:
            raise ValueError(f"is not a duration; {_FORM}")
    else:
        seconds = value
    if not 0 < seconds <= _LONGEST:
        raise ValueError(f"must be more than nothing and at most a century; {_FORM}")
    return float(seconds)


def bantime(value: Any) -> float | None:
    """As duration; "permanent" or -1 is None: it never ends."""
    if value in ("permanent", -1, "-1") and not isinstance(value, bool):
        return None
    try:
        return duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or 'permanent'") from None


def network(value: Any) -> Network:
    """An address or a network in CIDR notation; host bits are cut off, mapped IPv4 is IPv4."""
    try:
        if not isinstance(value, str):
            raise ValueError
        return fold_network(ip_network(value.strip(), strict=False))
    except ValueError:
        raise ValueError(
            "is no address or network; write it like '192.0.2.7', '198.51.100.0/24' or "
            "'2001:db8::/32'"
        ) from None


def is_name(value: Any) -> bool:
    """Whether a source, a jail or a filter may be called so."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _name(value: str) -> str:
    if not is_name(value):
        raise ValueError("is not a name; use at most 64 letters, digits, '-', '_' and '.'")
    return value


def zone(value: Any) -> ZoneInfo:
    """A time zone by its IANA name."""
    try:
        if not isinstance(value, str) or not value:
            raise ValueError
        return ZoneInfo(value)
    except (ValueError, OSError, KeyError):  # an unknown name is a KeyError
        raise ValueError(
            "is no known time zone; use an IANA name such as 'Europe/Berlin' or 'UTC'"
        ) from None


Name = Annotated[str, AfterValidator(_name)]
Duration = Annotated[float, BeforeValidator(duration)]
BanTime = Annotated[float | None, BeforeValidator(bantime)]
Networks = Annotated[tuple[Network, ...], BeforeValidator(lambda v: tuple(_networks(v)))]


def _networks(value: Any) -> list[Network]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("is not a list; write it like ['192.0.2.7', '198.51.100.0/24']")
    found = []
    for one in value:
        try:
            found.append(network(one))
        except ValueError as error:
            raise ValueError(f"{one!r} {error}") from None
    return found
