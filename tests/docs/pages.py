"""Runs what a page of ``docs/`` shows.

* A Python block is a program of its own; the block of text behind it is what it prints.
* A block of Python, JSON, C or text with a file name as its title is a file of that name, which a
  console block uses.
* A console block is run command by command, in the order of the page. In a block whose title
  begins with "in one terminal" the last command is left running until the page ends.
* A console block with the title "exit status 1" ends with that.
* A console block with the title "at a terminal" holds dialogues: what follows a prompt is typed,
  every other line is awaited. A dialogue is over when its last line has been shown. A command
  without output fills the screen, and is ended with its key for that.
* ``< FILE`` behind a command gives it that file as its standard input.
* ``5000`` to ``5004`` stand for ports: each is replaced by a free one, in files, commands, output.
* Times, ports of clients and measured speeds may be others than those that are shown.
* A file of ``examples/`` is found wherever the command runs.
* What sets up an environment (``make``, ``pip``) is looked up, not run.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import tomli

from tests.cli.program import unused_address
from tests.helpers.markdown import Block, Command, blocks, commands
from tests.helpers.source import ROOT
from tests.helpers.terminal import at_a_terminal
from tests.notify.nats_servers import nats_program

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
TIMEOUT = 50
PORTS = ["5000", "5001", "5002", "5003", "5004"]
KEPT_RUNNING = "in one terminal"
_PROGRAMS = {
    "vfiipc": [sys.executable, "-m", "vfiipc"],
    "python": [sys.executable],
    "cc": ["cc"],
}
#: Started only where a page has it, for it may be missing.
_NATS = "nats-server"
INCLUSION = re.compile(r'--8<-- "(.*)"\n')
_FAILS = "exit status 1"
_DIALOGUE = "at a terminal"
_FILE_NAME = re.compile(r"\w+\.\w+")
_PROMPT = re.compile(r"(id -?\d+>) ?(.*)")
_TIME_OF_DAY = r"^\d\d:\d\d:\d\d\.\d{6}\b"
#: What differs from run to run, and what is compared in its place.
_VARYING = [
    (_TIME_OF_DAY, "TIME"),
    (r'"time": "[^"]*"', '"time": TIME'),
    (r"\b127\.0\.0\.1:\d{5}\b", "CLIENT"),
    (r" +[\d,.]+ (µs|/s|MB/s)$", r" SPEED \1"),
    (r" in \d+\.\d+s$", " in TIME"),
]

_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    "PYTHONWARNINGS": "error",
    "TZ": "UTC",
    "PYTEST_ADDOPTS": "-pno:anyio -pno:asyncio -pno:cacheprovider",
}
_AT_A_TERMINAL = {"TERM": "xterm", "NO_COLOR": "1", "PROMPT_TOOLKIT_NO_CPR": "1"}


def examples(page: str) -> list[Block]:
    return list(blocks((DOCS / page).read_text(encoding="utf-8")))


def titled(page: str) -> list[Block]:
    files = {"python", "json", "c", "text"}
    return [
        block
        for block in examples(page)
        if block.language in files and _FILE_NAME.fullmatch(block.title)
    ]


def programs(page: str) -> list[Block]:
    return [block for block in examples(page) if block.language == "python" and not block.title]


def consoles(page: str) -> list[Block]:
    return [block for block in examples(page) if block.language == "console"]


class Terminal:
    """Runs the console blocks of one page, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {port: unused_address().rpartition(":")[2] for port in PORTS}
        self._stack = ExitStack()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, block: Block) -> None:
        included = INCLUSION.fullmatch(block.text)
        text = (ROOT / included[1]).read_text(encoding="utf-8") if included else block.text
        (self._folder / block.title).write_text(self._replaced(text), encoding="utf-8")

    def run(self, block: Block) -> None:
        if block.title == _DIALOGUE:
            for command in commands(block):
                self._hold_dialogue(command)
            return
        *firsts, last = commands(block)
        for command in firsts:
            self._run(command, 0)
        if block.title.startswith(KEPT_RUNNING):
            self._start(last)
        else:
            self._run(last, 1 if block.title == _FAILS else 0)

    def _run(self, command: Command, status: int) -> None:
        if command.words[0] in _PROGRAMS or command.words[0] == _NATS:
            with self._popen(command) as process:
                output, _ = process.communicate(timeout=TIMEOUT)
            shown = compared(self._restored(output))
            assert (process.returncode, shown) == (status, compared(command.output))
        else:
            check_set_up(command)

    def _start(self, command: Command) -> None:
        process = self._stack.enter_context(_ended(self._popen(command)))
        assert process.stdout is not None
        shown = ""
        if not command.output:
            wait_until_listening(self._replaced(command.words[-1]))
        for _ in command.output.splitlines():
            line = process.stdout.readline()
            assert line, f"{command} has ended after {shown!r}"
            shown += self._restored(line)
        assert compared(shown) == compared(command.output)

    def _hold_dialogue(self, command: Command) -> None:
        env = {**os.environ, **_ENVIRONMENT, **_AT_A_TERMINAL}
        with at_a_terminal(self._arguments(command.words), env, TIMEOUT) as terminal:
            for line in self._replaced(command.output).splitlines():
                prompt = _PROMPT.fullmatch(line)
                shown = prompt[1] if prompt else re.sub(_TIME_OF_DAY, "", line)
                terminal.wait_for(shown.encode())
                if prompt and prompt[2]:
                    terminal.type(f"{prompt[2]}\r".encode())
            if not command.output:
                terminal.wait_for(b"Quit")
                terminal.type(b"q")
                assert terminal.end() == 0, command

    def _popen(self, command: Command) -> subprocess.Popen[str]:
        words = command.words
        stdin: IO[str] | int = subprocess.DEVNULL
        with ExitStack() as stack:
            if "<" in words:
                at = words.index("<")
                stdin = stack.enter_context((self._folder / words[at + 1]).open(encoding="utf-8"))
                words = words[:at]
            return subprocess.Popen(
                self._arguments(words),
                cwd=self._folder,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, **_ENVIRONMENT},
            )

    def _arguments(self, words: list[str]) -> list[str]:
        program, *rest = words
        return [*_program(program), *map(self._replaced, rest)]

    def _replaced(self, text: str) -> str:
        if text.startswith("examples/"):
            return str(ROOT / text)
        return re.sub("|".join(rf"\b{port}\b" for port in PORTS), self._port, text)

    def _port(self, found: re.Match[str]) -> str:
        return self._ports[found[0]]

    def _restored(self, text: str) -> str:
        for port, used in self._ports.items():
            text = text.replace(f":{used}", f":{port}")
        return text


def wait_until_listening(port: str) -> None:
    """A server that says nothing has its port as the last word of its command."""
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            return socket.create_connection(("127.0.0.1", int(port))).close()
        except ConnectionRefusedError:
            assert time.monotonic() < end, f"nothing listens at {port}"
            time.sleep(0.02)


def compared(output: str) -> str:
    for varying, instead in _VARYING:
        output = re.sub(varying, instead, output, flags=re.MULTILINE)
    return output


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    with process:
        try:
            yield process
        finally:
            process.kill()


def _program(name: str) -> list[str]:
    return [nats_program()] if name == _NATS else _PROGRAMS[name]


def check_set_up(command: Command) -> None:
    """A command that prepares something exists, and what it names does too."""
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomli.load(file)["project"]["optional-dependencies"]
    program, *rest = command.words
    assert command.output == "", command
    if program == "make":
        assert rest[0] in targets, command
    else:
        assert [program, rest[0]] == ["pip", "install"], command
        package = re.fullmatch(r"\.(?:\[([\w,]+)\])?", rest[1])
        assert package is not None, command
        assert set(filter(None, (package[1] or "").split(","))) <= set(extras), command
