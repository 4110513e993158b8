"""Every example on every page of ``docs/`` runs and prints what is shown."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import (
    DOCS,
    INCLUSION,
    PAGES,
    TIMEOUT,
    Terminal,
    consoles,
    examples,
    programs,
    titled,
)
from tests.helpers.markdown import Block, commands, run_program
from tests.helpers.source import ROOT
from vfiipc.__main__ import main

#: What tests run elsewhere, too.
TESTED = {"tests/conformance/echo.c"}
#: What brings in a file of examples/ is run by the tests of those.
PROGRAMS = [
    pytest.param(block, id=f"{page}:{block.line}")
    for page in PAGES
    for block in programs(page)
    if not INCLUSION.fullmatch(block.text)
]


def test_there_are_pages_with_examples() -> None:
    assert {"index.md", "start.md", "guides/embed.md", "guides/cpp.md"} <= set(PAGES)
    assert len(PROGRAMS) >= 5
    assert any(titled(page) for page in PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_of_kinds_that_are_run(page: str) -> None:
    kinds = {block.language for block in examples(page)}
    assert kinds <= {"python", "json", "c", "cpp", "yaml", "console", "text"}
    assert all(block.title for block in examples(page) if block.language == "json")
    fences = re.findall(r"^ *```.", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == len(examples(page))


@pytest.mark.parametrize("page", PAGES)
def test_what_is_brought_in_is_an_example(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for name in INCLUSION.findall(text):
        assert (ROOT / name).is_file()
        assert name.startswith("examples/") or name in TESTED


@pytest.mark.long
@pytest.mark.parametrize("block", PROGRAMS)
def test_a_program_prints_what_is_shown(block: Block, tmp_path: Path) -> None:
    assert run_program(block.text, tmp_path, TIMEOUT) == (0, "", block.output)


@pytest.mark.long
@pytest.mark.parametrize("page", [page for page in PAGES if consoles(page)])
def test_commands_print_what_is_shown(page: str, tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        for block in titled(page):
            terminal.write(block)
        for block in consoles(page):
            terminal.run(block)


@pytest.mark.parametrize("page", PAGES)
def test_every_file_is_run_by_a_command(page: str) -> None:
    words = {word for block in consoles(page) for line in commands(block) for word in line.words}
    inner = {part for word in words for part in word.split()}  # of a command in a command
    assert {block.title for block in titled(page)} <= inner


@pytest.mark.parametrize("page", PAGES)
def test_jobs_run_what_exists(page: str) -> None:
    """What a job for continuous integration runs is known: the command, and its options."""
    for block in examples(page):
        if block.language == "yaml":
            (job,) = yaml.safe_load(block.text).values()
            lines = [step["run"] for step in job["steps"] if "run" in step]
            words = [shlex.split(line) for line in lines]
            (command,) = (each for each in words if each[0] == "vfiipc")
            assert main([*command[1:], "--list"]) == 0


def test_pictures_need_no_network() -> None:
    pictures = list(DOCS.rglob("*.svg"))
    assert pictures
    for picture in pictures:
        text = picture.read_text(encoding="utf-8")
        links = re.findall(r"(?:https?:)?//[\w.]+[^\"'\s)]*", text)
        assert set(links) <= {"http://www.w3.org/2000/svg"}, picture
        assert "@font-face" not in text
