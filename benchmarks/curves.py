"""Draws how ratios grow as SVG: a panel a kind of exchange, a line for each other library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from .plot import axis_note, opening

__all__ = ["Panel", "curves"]

#: Lines by name; each a list of points: how much there is of it, and the ratio there.
Panel = Mapping[str, Sequence[tuple[float, float]]]

_COLOURS = ["#1f3a93", "#c0392b", "#1e8449", "#7d6608", "#8e44ad"]
_WIDTH, _HEIGHT, _LEFT, _GAP, _TOTAL = 396, 150, 60, 88, 500
# The same in all panels, so that one look compares them.
_LOW, _HIGH = 1 / 16, 16.0
_TICKS = {1 / 16: "1/16", 1 / 4: "1/4", 1: "1", 4: "4", 16: "16"}


def curves(
    title: str, panels: Mapping[str, Panel], labels: Mapping[float, str], axes: Mapping[str, str]
) -> str:
    """The picture.

    Args:
        title: what stands above it.
        panels: the lines of each.
        labels: what the places on the horizontal axes are called.
        axes: what the horizontal axis of each panel shows.
    """
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    colours = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(names)}
    top = 64 + 20 * len(names)
    parts = opening(title, _TOTAL, top + len(panels) * (_HEIGHT + _GAP))
    parts.append(f'<text x="12" y="46" font-size="13" fill="#444">{_SPEED}</text>')
    for place, (name, colour) in enumerate(colours.items()):
        y = 64 + 20 * place
        parts.append(f'<path d="M12 {y}h24" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="44" y="{y + 5}">against {escape(name)}</text>')
    for place, (name, lines) in enumerate(panels.items()):
        y = top + 20 + place * (_HEIGHT + _GAP)
        parts += _panel(y, name, lines, labels, colours)
        parts.append(axis_note(_LEFT + _WIDTH // 2, y + _HEIGHT + 38, axes[name]))
    return "\n".join([*parts, "</svg>"]) + "\n"


_SPEED = "Up: speed of vfiipc, as a multiple of the other's. Above 1, vfiipc is faster."


def _panel(
    top: int,
    title: str,
    lines: Panel,
    labels: Mapping[float, str],
    colours: Mapping[str, str],
) -> list[str]:
    places = sorted({place for points in lines.values() for place, _ in points})
    step = _WIDTH / max(1, len(places) - 1)

    def x(place: float) -> float:
        return _LEFT + step * places.index(place)

    parts = [f'<text x="12" y="{top - 10}" font-weight="bold">{escape(title)}</text>']
    for value, label in _TICKS.items():
        at, colour = _y(top, value), "#555" if value == 1 else "#ddd"
        parts.append(f'<path d="M{_LEFT} {at:.1f}h{_WIDTH}" stroke="{colour}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at + 5:.1f}" text-anchor="end">{label}</text>')
    for place in places:
        label = escape(labels.get(place, f"{place:g}"))
        parts.append(
            f'<text x="{x(place):.1f}" y="{top + _HEIGHT + 18}" text-anchor="middle">{label}</text>'
        )
    for name, points in lines.items():
        path = "L".join(f"{x(place):.1f} {_y(top, value):.1f}" for place, value in sorted(points))
        parts.append(f'<path d="M{path}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
    return parts


def _y(top: int, value: float) -> float:
    share = math.log(min(max(value, _LOW), _HIGH) / _LOW) / math.log(_HIGH / _LOW)
    return top + _HEIGHT * (1 - share)
