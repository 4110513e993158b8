"""The page about the inspector names every key, and no other."""

from __future__ import annotations

import pytest

from tests.docs.pages import DOCS

pytest.importorskip("textual")

from textual.binding import Binding

from vfiipc.cli.inspector.app import Inspector
from vfiipc.cli.inspector.table import Table

PAGE = (DOCS / "guides" / "inspect.md").read_text(encoding="utf-8")
#: The page's names of keys that Textual names otherwise.
NAMES = {
    "up": "up",
    "down": "down",
    "PgUp": "pageup",
    "PgDn": "pagedown",
    "Home": "home",
    "End": "end",
    "Enter": "enter",
    "Escape": "escape",
    "/": "slash",
    "?": "question_mark",
}


def test_the_keys_on_the_page_are_those_of_the_program() -> None:
    rows = PAGE.partition("## Keys")[2].partition("\n## ")[0].splitlines()
    cells = [row.split("|")[1] for row in rows if row.startswith("| ")][1:]
    named = [key.strip(" `") for cell in cells for key in cell.split(",")]
    bound = [
        binding.key.split(",")[0]  # the others are those of vi, which the page leaves out
        for owner in (Inspector, Table)
        for binding in owner.BINDINGS
        if isinstance(binding, Binding)
    ]
    assert sorted(NAMES.get(key, key) for key in named) == sorted(bound)
