from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.program import run, started
from vfiipc.__main__ import main


def test_all_notifications_arrive() -> None:
    status, raw, err = run("demo", "notify")
    out = raw.decode()
    assert (status, err) == (0, "")
    assert len(set(re.findall(r"process (\d+)", out))) == 3
    assert "WENT WRONG" not in out
    assert out.count('{"cmd":"echo", "amount":1.10, "most":1E400, "a":1,"a":2,') == 2
    assert out.count("EXT_SYS_DEVICE_CONTROL_RESP") == 3
    assert "nobody got 'EXT_SYS_DEVICE_CONTROL_REQ'" in out
    assert out.endswith("\nAll notifications arrived.\n")


@pytest.fixture
def replace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Has the demo run a program of ours in place of one of its processes."""

    def replace(word: str, program: str) -> None:
        (tmp_path / "program.py").write_text(program, encoding="utf-8")
        python = tmp_path / "python"
        python.write_text(
            f'#!/bin/sh\ncase "$*" in\n'
            f'*{word}*) exec "{sys.executable}" "{tmp_path}/program.py" "$@";;\n'
            f'esac\nexec "{sys.executable}" "$@"\n'
        )
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))

    return replace


LIAR = """
import asyncio, sys
from vfiipc import notify

async def main():
    async with notify.connect(f"tcp://{sys.argv[3]}", app_id="terminal") as terminal:
        async def answer(request):
            await terminal.send(request.sender, "EXT_SYS_DEVICE_CONTROL_RESP", {"result": "OK"})
        await terminal.register("EXT_SYS_DEVICE_CONTROL_REQ", answer)
        async def beacon(request):
            await terminal.send(request.sender, "BEACON")
        await terminal.register("EXT_SYS_BEACON_REQ", beacon)
        await terminal.sync()
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_change_is_noticed(
    replace: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    replace("notify_demo", LIAR)
    assert main(["demo", "notify"]) == 1
    out = capsys.readouterr().out
    assert out.count("WENT WRONG") == 1
    assert out.endswith("NOT ALL NOTIFICATIONS ARRIVED\n")


@pytest.mark.parametrize(
    ("word", "name"), [("notifysvc", "notification server"), ("notify_demo", "terminal")]
)
def test_a_process_that_does_not_start(
    word: str,
    name: str,
    replace: Callable[[str, str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    replace(word, "")
    assert main(["demo", "notify"]) == 1
    assert capsys.readouterr().err == f"vfiipc demo: the {name} did not start\n"


def test_ctrl_c() -> None:
    with started("demo", "notify") as running:
        running.line()
        running.interrupt()
        status, _, err = running.end()
    assert (status, err) == (130, "")
