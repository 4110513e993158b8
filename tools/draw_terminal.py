"""Draws what a command prints, in its colours, as the picture of a terminal.

``python tools/draw_terminal.py`` renews ``docs/assets/dump.svg``, which the start page shows.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "assets" / "dump.svg"
COMMAND = ["vfiipc", "dump", "examples/session.pcap"]

_GROUND, _TEXT, _FAINT = "#1e2129", "#dcdfe4", "#8b93a3"
# By the number that selects the style in an escape sequence.
_STYLES = {
    "1": 'font-weight="bold"',
    "2": f'fill="{_FAINT}"',
    "31": 'fill="#ff7b85"',
    "32": 'fill="#98c379"',
    "33": 'fill="#e5c07b"',
    "34": 'fill="#61afef"',
    "35": 'fill="#c678dd"',
    "36": 'fill="#56b6c2"',
}
_ESCAPE = re.compile(r"\x1b\[(\d+)m")
_CHARACTER, _LINE, _MARGIN = 8.4, 20, 18


def output_of(command: list[str]) -> str:
    """What the command prints in colour, with the command itself as the first line."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "FORCE_COLOR": "1", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=True,
    )
    first = f"\x1b[2m$\x1b[0m {' '.join(command)}\n"
    return first + done.stdout + done.stderr


def plain(output: str) -> str:
    """The same without colours."""
    return _ESCAPE.sub("", output)


def drawn(output: str) -> str:
    """The picture of this output."""
    lines = output.splitlines()
    width = 2 * _MARGIN + _CHARACTER * max(map(len, plain(output).splitlines()))
    height = 2 * _MARGIN + _LINE * len(lines)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}"',
            f'width="{width:.0f}" height="{height}" font-family="monospace" font-size="14">',
            f"<title>{escape(plain(lines[0]))}</title>",
            f'<rect width="100%" height="100%" rx="8" fill="{_GROUND}"/>',
            f'<g fill="{_TEXT}" xml:space="preserve">',
            *(part for number, line in enumerate(lines) for part in _spans(line, number)),
            "</g>",
            "</svg>\n",
        ]
    )


def _spans(line: str, number: int) -> Iterator[str]:
    style, column = "", 0
    y = _MARGIN + _LINE * number + 14
    for index, part in enumerate(_ESCAPE.split(line)):
        if index % 2:
            style = _STYLES.get(part, "")
            continue
        # Words are placed one by one, so that spaces of another width do not move what follows.
        for word in re.finditer(r"\S+(?: \S+)*", part):
            x = _MARGIN + _CHARACTER * (column + word.start())
            length = _CHARACTER * len(word[0])
            yield (
                f'<text x="{x:.1f}" y="{y}" textLength="{length:.1f}" {style}>'
                f"{escape(word[0])}</text>"
            )
        column += len(part)


if __name__ == "__main__":
    PICTURE.write_text(drawn(output_of(COMMAND)), encoding="utf-8")
