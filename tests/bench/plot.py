"""The plot of a wave: how many of its addresses still get through, over time."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from pathlib import Path
from xml.sax.saxutils import escape

from tests.bench.table import Plot

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 200, 30, 50
_COLOURS = ("#0b6e4f", "#4caf7d", "#c0392b", "#e08e45", "#6c5b9e", "#8a8a8a")
_FROM_S, _TO_S = 0.01, 100.0
_TICKS = {0.01: "10 ms", 0.1: "100 ms", 1.0: "1 s", 10.0: "10 s", 100.0: "100 s"}


def wave_plot(plot: Plot, path: Path) -> None:
    """Writes the curves as steps from all addresses down to none; time is logarithmic."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        *_axes(plot.addresses),
    ]
    for number, (curve, colour) in enumerate(zip(plot.curves, _COLOURS, strict=False)):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in _steps(curve.times, plot.addresses))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        x, y = _WIDTH - _RIGHT + 15, _TOP + 20 + 22 * number
        parts.append(
            f'<line x1="{x}" y1="{y - 4}" x2="{x + 20}" y2="{y - 4}" stroke="{colour}" '
            f'stroke-width="3"/><text x="{x + 26}" y="{y}">{escape(curve.name)}</text>'
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>", ""]))


def _x(seconds: float) -> float:
    part = log10(min(max(seconds, _FROM_S), _TO_S) / _FROM_S) / log10(_TO_S / _FROM_S)
    return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)


def _y(left: int, addresses: int) -> float:
    return _HEIGHT - _BOTTOM - left / addresses * (_HEIGHT - _TOP - _BOTTOM)


def _steps(times: Sequence[float], addresses: int) -> list[tuple[float, float]]:
    points = [(_x(_FROM_S), _y(addresses, addresses))]
    for gone, at in enumerate(sorted(times)):
        points.append((_x(at), _y(addresses - gone, addresses)))
        points.append((_x(at), _y(addresses - gone - 1, addresses)))
    return points


def _axes(addresses: int) -> list[str]:
    left, right = _x(_FROM_S), _x(_TO_S)
    grey = 'stroke="#dddddd"'
    parts = []
    for seconds, label in _TICKS.items():
        x, low = _x(seconds), _y(0, addresses)
        parts.append(f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{low}" {grey}/>')
        parts.append(f'<text x="{x}" y="{low + 18}" text-anchor="middle">{label}</text>')
    for share in range(5):
        count = addresses * share // 4
        y = _y(count, addresses)
        parts.append(f'<line x1="{left}" y1="{y}" x2="{right}" y2="{y}" {grey}/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{count}</text>')
    middle = (left + right) / 2
    parts.append(
        f'<text x="{middle}" y="{_HEIGHT - 12}" text-anchor="middle">'
        "after the write of their lines</text>"
    )
    parts.append(f'<text x="{left}" y="{_TOP - 12}">addresses that still get through</text>')
    return parts
