"""The ratios on the page about performance are those in ``benchmarks/results``."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import DOCS
from tests.helpers.source import ROOT

PAGE = (DOCS / "performance.md").read_text(encoding="utf-8")
QUOTED = re.findall(
    r"\((?:ratio )?(\d+\.\d\d)\)",
    PAGE.partition("## Where it is slower")[2].partition("\n## Exchanges")[0],
)
#: In the order of the page: the file, its section, the case, and the other library.
SOURCES = [
    ("network", "Blocking, TCP", "64 B, one way", "pyzmq PAIR"),
    ("network", "Blocking, TCP", "64 B, one way, many at once", "raw sockets"),
    ("network", "Blocking, TCP", "64 B, one way, many at once", "pyzmq PAIR"),
    ("transport", "One way, 64 B, many at once", "`write_msgs` to `read_msgs`", "pyzmq PUSH/PULL"),
    ("network", "Blocking, TCP", "64 B, there and back", "raw sockets"),
    ("network", "Blocking, TCP", "64 B, there and back", "multiprocessing.connection"),
    ("network", "Blocking, TCP", "64 B, there and back", "pyzmq PAIR"),
    ("network", "asyncio, TCP", "64 B, there and back", "asyncio streams"),
    ("network", "Blocking, TCP", "1024 KiB, one way", "raw sockets"),
    ("network", "Blocking, TCP", "1024 KiB, one way", "pyzmq PAIR"),
    (
        "tls",
        "One way, large messages",
        "1 MiB, `write_msg` to `read_msg`",
        "`SSLSocket.sendall` to `recv`, data discarded",
    ),
    (
        "tls",
        "One way, large messages",
        "1 MiB, `write_msg` to `read_msg`",
        "`SSLSocket.sendall` to `recv` and `join`",
    ),
    (
        "network",
        "asyncio, TCP, many connections to one server",
        "10000 connections, there and back",
        "asyncio streams",
    ),
    ("codec", "Decoding 64 B, against peers", "`drain()`", "msgpack C Unpacker"),
]


def measured(name: str) -> dict[tuple[str, ...], str]:
    """The measured ratios of a file, by section, case and other library."""
    found: dict[tuple[str, ...], str] = {}
    section = ""
    path = ROOT / "benchmarks" / "results" / f"{name}.md"
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if line.startswith("## "):
            section = line[3:]
        elif len(cells) > 4:
            found[name, section, cells[1], cells[2]] = cells[3]
    return found


def test_the_source_of_every_ratio_is_known() -> None:
    assert len(QUOTED) == len(SOURCES)


@pytest.mark.parametrize(("quoted", "source"), list(zip(QUOTED, SOURCES)))
def test_a_ratio_is_the_measured_one(quoted: str, source: tuple[str, ...]) -> None:
    assert quoted == measured(source[0])[source]
