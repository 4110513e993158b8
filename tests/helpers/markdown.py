"""The examples of a page in Markdown, and what they print when they are run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Block(NamedTuple):
    """A fenced block: its language, its title, its text, the line it starts at, what it prints."""

    language: str
    title: str
    text: str
    line: int
    output: str


class Command(NamedTuple):
    """A command that is shown behind a ``$``, and the output that is shown below it."""

    words: list[str]
    output: str


_FENCE = re.compile(
    r'^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"]*)")?\n'
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


def blocks(markdown: str) -> Iterator[Block]:
    """All fenced blocks; a block of text that follows at once is the output of the one before."""
    fences = list(_FENCE.finditer(markdown))
    for index, fence in enumerate(fences):
        output = ""
        if index + 1 < len(fences):
            follower = fences[index + 1]
            between = markdown[fence.end() : follower.start()]
            if follower["language"] == "text" and not between.strip():
                output = _text(follower)
        line = markdown.count("\n", 0, fence.start()) + 1
        yield Block(fence["language"], fence["title"] or "", _text(fence), line, output)


def _text(fence: re.Match[str]) -> str:
    return re.sub(f"^{fence['indent']}", "", fence["text"], flags=re.MULTILINE)


def commands(block: Block) -> list[Command]:
    """The commands of a console block."""
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
    assert parts[0] == "", f"line {block.line}: output without a command"
    return [
        Command(shlex.split(line), output)
        for line, output in zip(parts[1::2], parts[2::2], strict=True)
    ]


def run_program(text: str, folder: Path, timeout: float) -> tuple[int, str, str]:
    """Runs a program in a folder; gives its status, its complaints, and what it prints.

    With ``CI`` set, Hypothesis does not judge how fast the machine is.
    """
    (folder / "example.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=folder,
        env={**os.environ, "CI": "true"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return done.returncode, done.stderr, done.stdout
