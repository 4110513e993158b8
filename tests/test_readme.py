"""Everything that the README shows is run, and its output compared."""

from __future__ import annotations

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

README = (ROOT / "README.md").read_text(encoding="utf-8")
#: The address in the examples; the tests put a free one in its place.
ADDRESS = "127.0.0.1:5000"

BLOCKS = list(blocks(README))
PYTHON = [block for block in BLOCKS if block.language == "python"]
CONSOLE = [block for block in BLOCKS if block.language == "console"]
COMMANDS = [command for block in CONSOLE for command in commands(block)]


def test_examples_for_the_three_kinds_of_user_are_there() -> None:
    needed = ["from vfiipc.codec import", "from vfiipc import TCP", "vfiipc.connect("]
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
    assert server.words[:3] == ["vfiipc", "echo", ADDRESS]
    assert server.output == f"listening at {ADDRESS}\n"
    clients = [command for command in COMMANDS if command.words[:2] == ["vfiipc", "send"]]
    assert clients
    with echo(*server.words[3:]) as (_, address):
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
    table = README[README.index("## What is included") :]
    names = set(re.findall(r"`(?:\[)?([\w.]+)`", table))
    modules = [vfiipc, vfiipc.codec, vfiipc.testing]
    public = {name for module in modules for name in module.__all__}
    parts = {"vfiipc.codec", "vfiipc.aio", "vfiipc.notify", "vfiipc.testing"}
    assert {"Framer", "TCP", "TLS", "Pipe", "Loopback", "check_framer", *parts} <= names
    commands = set(vfiipc.__main__._COMMANDS)
    assert [name for name in names if name not in public | parts | commands | {"make"}] == []


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 120
