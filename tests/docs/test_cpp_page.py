"""The page for those who come from C++ names every member, and the code has what it names."""

from __future__ import annotations

import inspect
import re
import subprocess
from pathlib import Path

import pytest

import vfiipc
from tests.docs.pages import DOCS, examples
from tests.helpers.markdown import Block
from tests.helpers.requirements import program
from vfiipc import IPC, TCP, TLS, Pipe

PAGE = (DOCS / "guides" / "cpp.md").read_text(encoding="utf-8")
CHAPTERS: dict[str, type] = {"IPC": IPC, "TCP": TCP, "Pipe": Pipe, "TLS": TLS}


PROGRAMS = [block for block in examples("guides/cpp.md") if block.language == "cpp"]


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
    additions = names(chapter("Additions of this library"))
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
    for name in names(chapter("Additions of this library")):
        assert hasattr(TCP(), name) or hasattr(vfiipc, name), name


def test_each_program_is_there_in_both_languages() -> None:
    titles = {block.title for block in examples("guides/cpp.md") if block.title}
    assert {"server.cpp", "server.py", "client.cpp", "client.py"} <= titles


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.title)
def test_a_compiler_accepts_the_programs_in_cpp(block: Block, tmp_path: Path) -> None:
    (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    options = ["-std=c++11", "-Wall", "-Werror", "-fsyntax-only", f"-I{Path(__file__).parent}"]
    done = subprocess.run(
        [program("g++"), *options, block.title], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
