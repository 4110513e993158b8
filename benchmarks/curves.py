"""Draws how ratios grow as SVG: a panel a kind of exchange, a line for each other library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from .plot import opening

__all__ = ["Panel", "curves"]

#: Lines by name; each a list of points: how much there is of it, and the ratio there.
Panel = Mapping[str, Sequence[tuple[float, float]]]

_COLOURS = ["#1f3a93", "#c0392b", "#1e8449", "#7d6608", "#8e44ad"]
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP, _LEGEND = 250, 170, 60, 60, 60, 220


def curves(title: str, panels: Mapping[str, Panel], labels: Mapping[float, str]) -> str:
    """The picture; ``labels`` are what the places on the axes are called."""
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    colours = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(names)}
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    width = _LEFT + columns * (_WIDTH + _GAP) + _LEGEND
    height = _TOP + rows * (_HEIGHT + _GAP) + 20
    parts = opening(title, width, height)
    for place, (name, lines) in enumerate(panels.items()):
        x = _LEFT + place % columns * (_WIDTH + _GAP)
        y = _TOP + place // columns * (_HEIGHT + _GAP)
        parts += _panel(x, y, name, lines, labels, colours)
    x = _LEFT + columns * (_WIDTH + _GAP)
    for place, (name, colour) in enumerate(colours.items()):
        y = _TOP + 20 * place
        parts.append(f'<path d="M{x} {y}h20" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 26}" y="{y + 4}">{escape(name)}</text>')
    parts.append(
        f'<text x="{_LEFT}" y="{height - 8}" fill="#555">times the speed of the other library; '
        "above 1, ours is the quicker one</text>"
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    left: int,
    top: int,
    title: str,
    lines: Panel,
    labels: Mapping[float, str],
    colours: Mapping[str, str],
) -> list[str]:
    places = sorted({place for points in lines.values() for place, _ in points})
    values = [value for points in lines.values() for _, value in points if value > 0]
    low = math.floor(math.log10(min([*values, 1.0])))
    high = max(math.ceil(math.log10(max([*values, 1.0]))), low + 1)
    step = _WIDTH / max(1, len(places) - 1)

    def x(place: float) -> float:
        return left + step * places.index(place)

    def y(value: float) -> float:
        return top + _HEIGHT * (1 - (math.log10(max(value, 10**low)) - low) / (high - low))

    parts = [f'<text x="{left}" y="{top - 8}" font-weight="bold">{escape(title)}</text>']
    for power in range(low, high + 1):
        at, colour = y(10.0**power), "#888" if power == 0 else "#ddd"
        parts.append(f'<path d="M{left} {at:.1f}h{_WIDTH}" stroke="{colour}"/>')
        parts.append(
            f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
        )
    for place in places:
        label = escape(labels.get(place, f"{place:g}"))
        parts.append(
            f'<text x="{x(place):.1f}" y="{top + _HEIGHT + 16}" text-anchor="middle">{label}</text>'
        )
    for name, points in lines.items():
        path = "L".join(f"{x(place):.1f} {y(value):.1f}" for place, value in sorted(points))
        parts.append(f'<path d="M{path}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
    return parts
