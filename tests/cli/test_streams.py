from __future__ import annotations

import io
import sys

import pytest

from vfiipc.cli.streams import complain, finish_output, say, styled, write_bytes


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert styled("good", "good", Terminal()) == "\x1b[32mgood\x1b[0m"
    assert styled("good", "good", io.StringIO()) == "good"
    monkeypatch.setenv("TERM", "dumb")
    assert styled("good", "good", Terminal()) == "good"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("good", "good", Terminal()) == "good"


def test_a_process_without_standard_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    say("nothing")
    write_bytes(b"nothing")
    complain("vfiipc", "nothing")
    assert finish_output()
