"""Everything that the README shows is run, and its output compared."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import tomli

import vfiipc
import vfiipc.__main__
import vfiipc.codec
import vfiipc.testing
from tests.cli.program import PROGRAM, TIMEOUT, echo
from tests.helpers.markdown import Block, blocks, commands, run_program
from tests.helpers.source import ROOT
from vfiipc import TCP

README = (ROOT / "README.md").read_text(encoding="utf-8")
#: The address in the examples; the tests put a free one in its place.
ADDRESS = "127.0.0.1:5000"

BLOCKS = list(blocks(README))
PYTHON = [block for block in BLOCKS if block.language == "python"]
CONSOLE = [block for block in BLOCKS if block.language == "console"]
COMMANDS = [command for block in CONSOLE for command in commands(block)]


def test_examples_for_the_three_kinds_of_user_are_there() -> None:
    needed = ["from vfiipc.codec import", "from vfiipc.testing import", "from vfiipc import TCP"]
    for words in needed:
        assert any(words in block.text for block in PYTHON), words
    assert {block.language for block in BLOCKS} == {"python", "console", "text"}


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"line{block.line}")
def test_python_runs_and_prints_what_is_shown(block: Block, tmp_path: Path) -> None:
    assert run_program(block.text, tmp_path, TIMEOUT) == (0, "", block.output)


def test_commands_that_are_set_up_elsewhere_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomli.load(file)["project"]["optional-dependencies"]
    assert set(re.findall(r"`make ([\w-]+)`", README)) <= targets
    for words, output in COMMANDS:
        if words[0] == "make":
            assert words[1] in targets
        elif words[0] == "pip":
            package = re.fullmatch(r"\.(?:\[(\w+)\])?", words[2])
            assert package is not None
            assert package[1] is None or package[1] in extras
        else:
            assert words[0] == "vfiipc"
            continue
        assert output == ""


def test_the_command_line_prints_what_is_shown() -> None:
    (server,) = [command for command in COMMANDS if command.words[:2] == ["vfiipc", "echo"]]
    assert server == (["vfiipc", "echo", ADDRESS], f"listening at {ADDRESS}\n")
    clients = [command for command in COMMANDS if command.words[:2] == ["vfiipc", "send"]]
    assert len(clients) >= 2
    with echo() as (_, address):
        for words, output in clients:
            done = subprocess.run(
                [*PROGRAM, *(address if word == ADDRESS else word for word in words[1:])],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT,
            )
            assert (done.returncode, done.stdout) == (0, output)


def test_every_command_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    commands = [command for command in COMMANDS if command.words[0] == "vfiipc"]
    assert {command.words[1] for command in commands} >= {"listen", "proxy", "replay", "bench"}
    for words, _ in commands:
        # All but this one, which is found fault with after the others have been looked at.
        assert vfiipc.__main__.main([*words[1:], "--unknown"]) == 2
        told = capsys.readouterr().err
        assert told == "vfiipc: unrecognized arguments: --unknown (see vfiipc --help)\n"


def test_recordings_are_explained_as_shown() -> None:
    dumps = [command for command in COMMANDS if command.words[:2] == ["vfiipc", "dump"]]
    assert dumps
    for words, output in dumps:
        done = subprocess.run(
            [*PROGRAM, *words[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            cwd=ROOT,
            env={**os.environ, "TZ": "UTC"},
        )
        assert (done.returncode, done.stdout) == (0, output)


def test_the_byte_diagram_is_that_of_the_specification() -> None:
    (diagram,) = [block.text for block in BLOCKS if "+-+-+" in block.text]
    assert diagram in (ROOT / "spec" / "framing.md").read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(#[^)]*)?\)", README)
    assert len(links) >= 6
    for target, anchor in links:
        if target.startswith("https://"):
            continue
        assert (ROOT / target).exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)", (ROOT / target).read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
            assert anchor[1:] in slugs


def test_the_table_names_what_is_there() -> None:
    named = set(re.findall(r"`([\w.]+)`", README))
    public = {*vfiipc.__all__, *vfiipc.testing.__all__} - {"__version__", "Stream", "PeekResult"}
    assert public - named == set()
    row = next(line for line in README.splitlines() if line.startswith("| its members"))
    assert [name for name in re.findall(r"`(\w+)`", row) if not hasattr(TCP(), name)] == []
    row = next(line for line in README.splitlines() if line.startswith("| codec"))
    codec = set(re.findall(r"`(\w+)`", row))
    assert codec <= set(vfiipc.codec.__all__)
