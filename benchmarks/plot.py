"""Draws results as SVG: a bar for each ratio, on a logarithmic scale, with its aim as a mark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from .harness import Result

__all__ = ["opening", "svg"]

_Scale = Callable[[float], float]

_LEFT, _WIDTH, _RIGHT, _ROW, _TOP = 430, 420, 90, 18, 46
_COLOURS = {True: "#7fc4aa", False: "#e59a90", None: "#b8c0c2"}


def svg(title: str, results: Sequence[Result]) -> str:
    """The picture of all results that are ratios; the quartiles are whiskers."""
    drawn = [result for result in results if not result.unit and result.value > 0]
    bounds = [value for r in drawn for value in (r.low, r.high, r.aim or r.value) if value > 0]
    low = 10 ** math.floor(math.log10(min(bounds)))
    high = 10 ** math.ceil(math.log10(max(bounds)))

    def x(value: float) -> float:
        return _LEFT + _WIDTH * math.log10(max(value, low) / low) / math.log10(high / low)

    rows = _rows(drawn)
    bottom = _TOP + _ROW * len(rows)
    width, height = _LEFT + _WIDTH + _RIGHT, bottom + 50
    parts = opening(title, width, height)
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        parts += _grid_line(x(10.0**power), f"{10.0**power:g}", bottom)
    for number, row in enumerate(rows):
        y = _TOP + _ROW * number
        parts += [_heading(row, y)] if isinstance(row, str) else _bar(row, y, x)
    parts.append(
        f'<text x="{_LEFT}" y="{bottom + 38}" fill="#555">'
        "times the speed of what it is compared with; mark: aim; green: met</text>"
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def opening(title: str, width: int, height: int) -> list[str]:
    """How a picture begins: its size, its ground and its title."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="22" font-size="16">{escape(title)}</text>',
    ]


def _rows(results: Sequence[Result]) -> list[str | Result]:
    rows: list[str | Result] = []
    group = ""
    for result in results:
        if result.group != group:
            group = result.group
            rows.append(group)
        rows.append(result)
    return rows


def _grid_line(x: float, label: str, bottom: int) -> list[str]:
    return [
        f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>',
        f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="#555">{label}</text>',
    ]


def _heading(text: str, y: int) -> str:
    return f'<text x="10" y="{y + 14}" font-weight="bold">{escape(text)}</text>'


def _bar(result: Result, y: int, x: _Scale) -> list[str]:
    colour = _COLOURS[result.met]
    length, middle = max(x(result.value) - _LEFT, 1), y + _ROW // 2
    label = f"{result.name} / {result.against}".replace("`", "")
    parts = [
        f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>',
        f'<rect x="{_LEFT}" y="{y + 3}" width="{length:.1f}" height="{_ROW - 6}" fill="{colour}"/>',
        f'<path d="M{x(result.low):.1f} {middle}H{x(result.high):.1f}" stroke="black"/>',
        f'<text x="{_LEFT + _WIDTH + 10}" y="{y + 13}">{result.value:.3g}</text>',
    ]
    if result.aim is not None:
        aim = x(result.aim)
        parts.append(f'<path d="M{aim:.1f} {y}v{_ROW}" stroke="#1f3a93" stroke-width="2"/>')
    return parts
