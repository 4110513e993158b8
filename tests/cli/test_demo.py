from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import vfiipc
from tests.cli.program import TIMEOUT, run, started
from vfiipc.__main__ import main
from vfiipc.cli.arguments import DEFAULT_PREFIX

FIELD = re.compile(r" +(\d+) +(\d+) {2}(\w+) +((?:[0-9a-f]{2} )+)", re.MULTILINE)


def fields(out: str) -> dict[str, tuple[int, int, bytes]]:
    """The lines of the dump: offset, width and bytes by the field's name."""
    return {
        name: (int(offset), int(width), bytes.fromhex(raw))
        for offset, width, name, raw in FIELD.findall(out)
    }


def test_everything_comes_back() -> None:
    status, raw, err = run("demo")
    out = raw.decode()
    assert (status, err) == (0, "")
    assert out.count("came back unchanged") == 5
    assert "a message behind garbage" in out
    assert "one byte above the limit" in out
    assert "CHANGED" not in out
    assert re.search(r"Throughput .* [\d,]+ messages .* [\d,]+ MB per second", out)
    # 5 single ones, one behind the refused one, 1000 small, 32 large
    assert "messages answered: 1,037;" in out
    dumped = fields(out)
    assert dumped["prefix"] == (0, 4, bytes.fromhex("c0deface"))
    assert dumped["size"][2] == bytes.fromhex("00000014")


def test_two_processes_take_part() -> None:
    out = run("demo").out.decode()
    assert len(set(re.findall(r"process (\d+)", out))) == 2


@pytest.mark.long
def test_the_dump_follows_the_declaration(tmp_path: Path) -> None:
    copy = shutil.copytree(
        Path(vfiipc.__file__).parent,
        tmp_path / "vfiipc",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    wire = copy / "codec" / "wire.py"
    declared = wire.read_text(encoding="utf-8")
    wire.write_text(declared.replace("Int32ub", "Int32ul"), encoding="utf-8")
    # Of the surroundings nothing that measures coverage: the copy is not the package.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-B", "-m", "vfiipc", "demo"],
        env={**env, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("came back unchanged") == 5
    dumped = fields(done.stdout)
    assert dumped["prefix"] == (0, 4, bytes.fromhex("cefadec0"))
    assert dumped["size"] == (4, 4, bytes.fromhex("14000000"))
    assert dumped["msg_id"] == (8, 4, bytes.fromhex("00000001"))


LIAR = """
from vfiipc import TCP
with TCP() as listener:
    listener.listen(0, "127.0.0.1")
    print("listening at", listener.local_addr(), flush=True)
    connection = listener.accept()
    prefix, limit = {prefix}, {limit}
    count = 0
    while count < {answers}:
        message = connection.read_msg(prefix, limit)
        if message is None:
            break
        count += 1
        data = message.data
        if count == {changed}:
            data = data[:-1] + bytes([data[-1] ^ 1])
        connection.write_msg(prefix, message.msg_id, data)
    connection.close()
"""


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the demo run a program of ours where it would run an echo server."""

    def serve(program: str) -> None:
        (tmp_path / "server.py").write_text(program, encoding="utf-8")
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{tmp_path}/server.py'\n")
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))

    return serve


def liar(*, answers: int, changed: int) -> str:
    return LIAR.format(answers=answers, changed=changed, prefix=DEFAULT_PREFIX, limit=1 << 20)


@pytest.mark.long
@pytest.mark.parametrize("changed", [1, 3, 500])
def test_a_change_is_noticed(
    changed: int, servers: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    servers(liar(answers=10_000, changed=changed))
    assert main(["demo"]) == 1
    assert capsys.readouterr().out.count("CAME BACK CHANGED") == 1


def test_a_server_that_goes(
    servers: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    servers(liar(answers=3, changed=0))
    assert main(["demo"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("vfiipc demo: ")
    assert err.count("\n") == 1


def test_a_server_that_does_not_start(
    servers: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    servers("")
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == "vfiipc demo: the echo server did not start\n"


def test_ctrl_c() -> None:
    with started("demo") as running:
        running.line()
        running.interrupt()
        status, _, err = running.end()
    assert (status, err) == (130, "")


def test_output_that_nobody_reads() -> None:
    with started("demo") as running:
        assert running.line().startswith("Two processes")
        running.close_output()
        status, _, err = running.end()
    assert (status, err) == (141, "")
