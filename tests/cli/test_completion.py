"""Completion in the shells themselves, where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import ENVIRONMENT, TIMEOUT
from tests.helpers.terminal import at_a_terminal
from vfiipc.__main__ import main

pytest.importorskip("argcomplete")

_FOLDER = str(Path(sys.executable).parent)
ENV = {
    **ENVIRONMENT,
    "PATH": os.pathsep.join([_FOLDER, os.environ["PATH"]]),
    "TERM": "dumb",
    # So that no configuration of whoever runs the tests counts.
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
}
#: What is typed, and how it goes on. Each takes a run of the program.
CASES = {"vfiipc du": "dump", "vfiipc dump --json-": "--json-match", "vfiipc send 1 --ra": "--raw"}

_BASH = """
eval "$(vfiipc completion bash)"
for line in "$@"; do
    COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9
    _python_argcomplete vfiipc
    echo "${COMPREPLY[@]}"
done
"""
_FISH = """
vfiipc completion fish | source
for line in $argv
    complete -C $line | string replace -r '\\t.*' ''
end
"""


def _needs(shell: str) -> str:
    found = shutil.which(shell)
    if found is None or not Path(_FOLDER, "vfiipc").exists():
        pytest.skip(f"needs {shell}, and vfiipc as a command")
    return found


@pytest.mark.long
@pytest.mark.parametrize(("shell", "script"), [("bash", _BASH), ("fish", _FISH)])
def test_words_are_completed(shell: str, script: str, tmp_path: Path) -> None:
    name = [shell] if shell == "bash" else []  # which takes its first argument for its name
    done = subprocess.run(
        [_needs(shell), "-c", script, *name, *CASES],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**ENV, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert done.stderr == ""
    assert done.stdout.split() == list(CASES.values())


@pytest.mark.long
def test_words_are_completed_in_zsh() -> None:
    with at_a_terminal([_needs("zsh"), "-f", "-i"], ENV, TIMEOUT) as terminal:
        terminal.type(b"PS1=; autoload -U compinit; compinit -D -u\r")
        terminal.type(b'eval "$(vfiipc completion zsh)"; echo rea""dy\r')
        terminal.wait_for(b"ready\r\n")
        for typed, whole in CASES.items():
            terminal.type(typed.encode() + b"\t")
            terminal.wait_for(typed.encode())
            terminal.wait_for(whole.removeprefix(typed.split()[-1]).encode())
            terminal.type(b"\x15")  # empties the line
        terminal.type(b"exit\r")
        assert terminal.end() == 0


def test_without_argcomplete(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("argcomplete", "argcomplete.shell_integration"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["completion", "bash"]) == 1
    assert "completion needs argcomplete; in a clone of" in capsys.readouterr().err
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    assert main(["demo"]) == 1
    assert capsys.readouterr() == ("", "")


def test_an_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "csh"]) == 2
    assert "invalid choice: 'csh'" in capsys.readouterr().err
