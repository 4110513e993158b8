"""The page for those who come from C++ names every member, and the code has what it names."""

from __future__ import annotations

import inspect
import re

import pytest

import vfiipc
from tests.docs.pages import DOCS
from vfiipc import IPC, TCP, TLS, Pipe

PAGE = (DOCS / "guides" / "cpp.md").read_text(encoding="utf-8")
CHAPTERS: dict[str, type] = {"IPC": IPC, "TCP": TCP, "Pipe": Pipe, "TLS": TLS}


def chapter(title: str) -> str:
    return re.split(r"^## ", PAGE.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in chapter(title).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def own(owner: type) -> set[str]:
    """The public members that the class adds to ``IPC``."""
    inherited = set() if owner is IPC else own(IPC)
    return {name for name in dir(owner) if not name.startswith("_")} - inherited


def names(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)", text))


@pytest.mark.parametrize("title", CHAPTERS)
def test_every_member_has_its_place(title: str) -> None:
    assert own(CHAPTERS[title]) <= names(PAGE)
    additions = names(chapter("What only this library has"))
    inherited = own(TCP) if title == "TLS" else set()
    assert own(CHAPTERS[title]) - additions - inherited <= names(chapter(title))


@pytest.mark.parametrize("title", CHAPTERS)
def test_what_stands_under_here_exists(title: str) -> None:
    owner = CHAPTERS[title]
    assert len(rows(title)) >= 4
    for _, here, *_ in rows(title):
        for name in names(here):
            assert name == title or hasattr(owner, name), name


@pytest.mark.parametrize("title", ["IPC", "TCP"])
def test_signatures_are_those_of_the_code(title: str) -> None:
    for _, here, *_ in rows(title):
        shown = re.fullmatch(r"`(\w+)\((.*)\)`", here)
        assert shown is not None, here
        signature = inspect.signature(getattr(CHAPTERS[title], shown[1]))
        parameters = [p for p in signature.parameters.values() if p.name != "self"]
        given = [part.partition("=")[::2] for part in shown[2].split(", ") if part]
        assert given == [
            (p.name, "" if p.default is p.empty else repr(p.default)) for p in parameters
        ]


def test_what_only_this_library_has_is_there() -> None:
    for name in names(chapter("What only this library has")):
        assert hasattr(TCP(), name) or hasattr(vfiipc, name), name
