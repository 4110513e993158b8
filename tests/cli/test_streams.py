from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import ENVIRONMENT, PROGRAM, TIMEOUT
from vfiipc.cli.streams import complain, finish_output, say, styled, write_bytes


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert styled("good", "good", Terminal()) == "\x1b[32mgood\x1b[0m"
    assert styled("good", "good", io.StringIO()) == "good"
    monkeypatch.setenv("TERM", "dumb")
    assert styled("good", "good", Terminal()) == "good"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("good", "good", Terminal()) == "good"


def test_colours_as_the_environment_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("NO_COLOR", "")  # an empty variable counts as none
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert styled("good", "good", io.StringIO()) == "\x1b[32mgood\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("good", "good", io.StringIO()) == "good"
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("FORCE_COLOR", "")
    assert styled("good", "good", io.StringIO()) == "good"


def test_a_process_without_standard_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    say("nothing")
    write_bytes(b"nothing")
    complain("vfiipc", "nothing")
    assert finish_output() is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("command", ["demo", "--help"])
def test_output_that_cannot_be_written(command: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*PROGRAM, command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT,
            env=ENVIRONMENT,
        )
    assert done.returncode == 1
    assert done.stderr == "vfiipc: cannot write the output: no space left on device\n"
