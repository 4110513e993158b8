"""Correct peers pass every case."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import run
from tests.helpers.requirements import program
from tests.helpers.source import ROOT

HERE = Path(__file__).parent
#: Cases that wait for seconds; ``tests.conformance.matrix`` runs them.
WAITING = ["7.4", "7.7", "9.5"]
VFIIPC = [sys.executable, "-m", "vfiipc", "echo", "{port}", "--prefix", "{prefix}"]
PEERS = {
    "echo": [*VFIIPC, "--limit", "{limit}"],
    "echo --strict": [*VFIIPC, "--limit", "{limit}", "--strict"],
    "asyncio": [
        sys.executable,
        str(HERE / "good_peers.py"),
        "asyncio",
        "{port}",
        "{prefix}",
        "{limit}",
    ],
    "blocking": [
        sys.executable,
        str(HERE / "good_peers.py"),
        "blocking",
        "{port}",
        "{prefix}",
        "{limit}",
    ],
}


def examined(command: list[str], *options: str) -> dict[str, Any]:
    excluded = [word for case in WAITING for word in ("--exclude", case)]
    done = run(
        "examine", "--exec", shlex.join(command), *excluded, *options, "--json", "-",
        "--timeout-scale", "4",
    )  # fmt: skip
    assert (done.status, done.err) == (0, ""), done
    report = json.loads(done.out)
    assert isinstance(report, dict)
    return report


def check(report: dict[str, Any]) -> None:
    bad = {case["id"]: case for case in report["cases"] if case["verdict"] not in ("OK",)}
    assert report["complete"]
    assert {number: case["verdict"] for number, case in bad.items()} == {"7.6": "INFORMATIONAL"}


@pytest.mark.long
@pytest.mark.parametrize("name", [*PEERS])
def test_our_own_peers(name: str) -> None:
    report = examined(PEERS[name], "--limit", "1M")
    check(report)
    strict = "strict" in name
    assert report["mode"] == ("strict" if strict else "lenient")
    assert len(report["cases"]) == 95 - len(WAITING) - (0 if strict else 4)


@pytest.fixture(scope="module")
def echo_in_c(tmp_path_factory: pytest.TempPathFactory) -> str:
    built = tmp_path_factory.mktemp("echo") / "echo"
    subprocess.run(
        [program("gcc"), "-std=gnu99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O2",
         "-pthread", "-o", str(built), str(HERE / "echo.c")],
        check=True,
        cwd=ROOT,
    )  # fmt: skip
    return str(built)


@pytest.mark.long
def test_an_echo_in_c(echo_in_c: str) -> None:
    check(examined([echo_in_c, "{port}", "{prefix}", "{limit}"]))


PREFIXES = ["0x00000000", "0x004E4659", "0xFFFEFDFC"]


@pytest.mark.parametrize(
    "prefix",
    ["0xABABABAB", *(pytest.param(prefix, marks=pytest.mark.long) for prefix in PREFIXES)],
)
def test_any_prefix(echo_in_c: str, prefix: str) -> None:
    options = ["--prefix", prefix, "--limit", "100", "--only", "[1-6].*", "--exclude", "4.9.*"]
    check_all_ok(examined([echo_in_c, "{port}", "{prefix}", "{limit}"], *options))


def check_all_ok(report: dict[str, Any]) -> None:
    assert {case["verdict"] for case in report["cases"]} == {"OK"}
    assert len(report["cases"]) > 40
