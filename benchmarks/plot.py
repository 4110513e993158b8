"""Draws results as SVG: a bar for each ratio, which starts at 1, on one scale for all pictures."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from itertools import accumulate
from xml.sax.saxutils import escape

from .harness import Result

__all__ = ["CAPTION", "axis_note", "opening", "svg"]

CAPTION = (
    "A green bar, to the right of 1, means that vfiipc is faster; a red bar, to the left of 1,"
    " that it is slower. The black line spans the quartiles; a blue mark shows the aim."
)

# Narrow, so that a telephone shows the letters in a size that can be read.
_WIDTH, _MARGIN, _NUMBER, _ROW, _TOP = 500, 12, 44, 36, 56
# A label is broken into lines of so many letters, which fit even in a wide typeface.
_LETTERS, _LINE = 64, 16
_LEFT, _RIGHT = 2 * _MARGIN, _WIDTH - _MARGIN - _NUMBER
_LOW, _HIGH = 1 / 32, 64.0
_TICKS = {1 / 32: "1/32", 1 / 8: "1/8", 1 / 2: "1/2", 1: "1", 2: "2", 8: "8", 32: "32"}
_FASTER, _SLOWER = "#5fb394", "#e0857a"


def svg(title: str, results: Sequence[Result]) -> str:
    """The picture of all results that are ratios; the quartiles are whiskers."""
    rows = _rows([result for result in results if not result.unit and result.value > 0])
    tops = [*accumulate(map(_height, rows), initial=_TOP)]
    bottom = tops[-1]
    parts = opening(title, _WIDTH, bottom + 48)
    for value, label in _TICKS.items():
        parts += _grid_line(_x(value), label, bottom, strong=value == 1)
    for row, y in zip(rows, tops):
        parts += [_heading(row, y)] if isinstance(row, str) else _bar(row, y)
    parts.append(axis_note((_LEFT + _RIGHT) // 2, bottom + 36, _SPEED))
    return "\n".join([*parts, "</svg>"]) + "\n"


_SPEED = "speed of vfiipc, as a multiple of the other's"


def axis_note(x: int, y: int, text: str) -> str:
    """What the numbers on an axis are."""
    return f'<text x="{x}" y="{y}" text-anchor="middle" fill="#444">{escape(text)}</text>'


def opening(title: str, width: int, height: int) -> list[str]:
    """How a picture begins: its size, its ground and its title."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="14">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{_MARGIN}" y="24" font-size="17">{escape(title)}</text>',
    ]


def _x(value: float) -> float:
    share = math.log(min(max(value, _LOW), _HIGH) / _LOW) / math.log(_HIGH / _LOW)
    return _LEFT + (_RIGHT - _LEFT) * share


def _rows(results: Sequence[Result]) -> list[str | Result]:
    rows: list[str | Result] = []
    group = ""
    for result in results:
        if result.group != group:
            group = result.group
            rows.append(group)
        rows.append(result)
    return rows


def _grid_line(x: float, label: str, bottom: int, *, strong: bool) -> list[str]:
    colour = "#555" if strong else "#ddd"
    return [
        f'<line x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{bottom}" stroke="{colour}"/>',
        f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="#444">{label}</text>',
    ]


def _heading(text: str, y: int) -> str:
    return f'<text x="{_MARGIN}" y="{y + 24}" font-weight="bold" {_HALO}>{escape(text)}</text>'


# Letters keep the lines of the grid away.
_HALO = 'stroke="white" stroke-width="4" paint-order="stroke"'


def _label(result: Result) -> list[str]:
    text = f"{result.name}, against {result.against}".replace("`", "")
    return textwrap.wrap(text, _LETTERS, break_long_words=False, break_on_hyphens=False)


def _height(row: str | Result) -> int:
    return _ROW if isinstance(row, str) else _ROW + _LINE * (len(_label(row)) - 1)


def _bar(result: Result, y: int) -> list[str]:
    colour = _FASTER if result.value >= 1 else _SLOWER
    *above, last = _label(result)
    parts = [_line(text, y + _LINE * place) for place, text in enumerate(above)]
    y += _LINE * len(above)
    start, end = sorted((_x(1), _x(result.value)))
    middle = y + 26
    width = max(end - start, 1)
    bar = f'x="{start:.1f}" y="{y + 19}" width="{width:.1f}" height="14" fill="{colour}"'
    parts += [
        _line(last, y),
        f"<rect {bar}/>",
        f'<path d="M{_x(result.low):.1f} {middle}H{_x(result.high):.1f}" stroke="black"/>',
        f'<text x="{_WIDTH - _MARGIN}" y="{y + 31}" text-anchor="end">{result.value:.2g}</text>',
    ]
    if result.aim is not None:
        parts.append(
            f'<path d="M{_x(result.aim):.1f} {y + 17}v18" stroke="#1f3a93" stroke-width="3"/>'
        )
    return parts


def _line(text: str, y: int) -> str:
    return f'<text x="{_MARGIN}" y="{y + 13}" {_HALO}>{escape(text)}</text>'
