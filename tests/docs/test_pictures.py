"""The pictures in the documentation show what the programs display today."""

from __future__ import annotations

import re
from html import unescape

import pytest

from tools.draw_terminal import COMMAND, PICTURE, drawn, output_of, plain


def words(picture: str) -> list[str]:
    spans = re.findall(r"<text [^>]*>([^<]*)</text>", picture)
    return unescape(" ".join(spans)).split()


def test_the_picture_of_dump_shows_what_the_command_prints() -> None:
    pytest.importorskip("cypcap")
    output = output_of(COMMAND)
    assert words(PICTURE.read_text(encoding="utf-8")) == plain(output).split()


def test_a_picture_keeps_colours_and_columns() -> None:
    picture = drawn("\x1b[31mred & bad\x1b[0m  plain\n")
    assert '<text x="18.0" y="32" textLength="75.6" fill="#ff7b85">red &amp; bad</text>' in picture
    assert '<text x="110.4" y="32" textLength="42.0" >plain</text>' in picture


@pytest.mark.long
def test_the_picture_of_the_inspector_shows_what_it_displays() -> None:
    # The words alone: colours and positions differ between versions of Textual.
    pytest.importorskip("textual")
    from tools import inspector_picture

    shown = words(inspector_picture.PICTURE.read_text(encoding="utf-8"))
    assert {'"EUR"', "Quit"} <= {*shown}
    assert shown == words(inspector_picture.picture())
