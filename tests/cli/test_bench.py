from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from tests.cli.program import echo, unused_address
from vfiipc.__main__ import main
from vfiipc.cli.arguments import DEFAULT_PREFIX
from vfiipc.cli.bench import percentile
from vfiipc.testing import ScriptedPeer


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with echo() as (_, address):
        yield address


def test_percentiles() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, percent) for percent in (0.1, 50, 99, 99.9, 100)] == [
        1.0,
        50.0,
        99.0,
        100.0,
        100.0,
    ]
    assert percentile([7.0], 50) == 7.0


def test_every_round_trip_counts(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", server, "--count", "50", "--size", "1K", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["count"], values["size"]) == (50, 1024)
    times = list(values["round_trip"].values())
    assert times == sorted(times)
    assert list(values["round_trip"]) == ["p50", "p90", "p99", "p99.9", "p100"]
    assert values["bytes_per_second"] == pytest.approx(values["messages_per_second"] * 1024)


def test_lines_for_people(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", server, "--count", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0].split() == ["messages", "in", "each", "part", "5"]


@pytest.mark.parametrize("rich", [True, False])
def test_a_table_on_a_terminal(
    rich: bool, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    assert main(["bench", server, "--count", "5"]) == 0
    out, err = capsys.readouterr()
    assert "slowest round trip" in out
    assert ("pip install '.[cli]'" in err) is not rich


def test_a_peer_that_is_no_echo(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedPeer(prefix=DEFAULT_PREFIX, size_limit=1 << 20) as peer:
        peer.expect(msg_id=0).answer(b"something else")
        assert main(["bench", peer.address, "--count", "5"]) == 1
    address = peer.address.removeprefix("tcp://")
    assert f"{address} is not an echo: message 0 came back changed" in capsys.readouterr().err


def test_what_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    address = unused_address()
    assert main(["bench", address]) == 1
    assert main(["bench", address, "--size", "2M", "--limit", "1M"]) == 1
    assert main(["bench", address, "--count", "0"]) == 2
    refused, above, count = capsys.readouterr().err.splitlines()
    assert refused.startswith("vfiipc bench: connection refused")
    assert above == "vfiipc bench: --size 2,097,152 is above --limit 1,048,576"
    assert "invalid count: '0'; use 1..10000000" in count
