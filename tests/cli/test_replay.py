from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.program import unused_address
from vfiipc.__main__ import main
from vfiipc.cli.arguments import DEFAULT_PREFIX
from vfiipc.codec import Message, encode
from vfiipc.recording import Recorder
from vfiipc.testing import ScriptedPeer


@contextmanager
def _peer(answer: Callable[[Message], list[Message]]) -> Iterator[tuple[str, list[Message]]]:
    """A server; what it has received once it has ended."""
    received: list[Message] = []
    with ScriptedPeer(prefix=DEFAULT_PREFIX) as peer:
        peer.expect().times(0, math.inf).answer(answer)
        yield peer.address.removeprefix("tcp://"), received
    received += peer.messages


@pytest.fixture
def recording(tmp_path: Path) -> str:
    with Recorder(tmp_path / "session.pcap") as recorder:
        recorder.connection("192.0.2.1:1", "192.0.2.2:55000").data(True, b"no message")
        track = recorder.connection("192.0.2.1:2", "192.0.2.2:55000")
        for number in range(3):
            track.data(True, encode(DEFAULT_PREFIX, number, b"question"))
            track.data(False, encode(DEFAULT_PREFIX, number, b"answer"))
    return str(tmp_path / "session.pcap")


def _replay(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, list[str], str]:
    status = main(["replay", *argv])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err


def test_the_same_answers(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    with _peer(lambda message: [Message(message.msg_id, b"answer")]) as (address, received):
        status, out, _ = _replay(capsys, recording, address)
    assert (status, out) == (0, ["answers as recorded: 3; different: 0"])
    assert received == [(number, b"question") for number in range(3)]


def test_another_answer(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    answers = {1: b"wrong"}
    with _peer(lambda m: [Message(m.msg_id, answers.get(m.msg_id, b"answer"))]) as (address, _):
        status, out, _ = _replay(capsys, recording, address)
    assert status == 1
    assert [line for line in out if line.startswith("    ")] == ["    answer", "    wrong"]
    assert out[-1] == "answers as recorded: 2; different: 1"


def test_every_line_is_json(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    with _peer(lambda message: [Message(message.msg_id, b"wrong")]) as (address, _):
        status, out, _ = _replay(capsys, recording, address, "--json")
    kinds = [json.loads(line)["kind"] for line in out]
    assert (status, kinds) == (1, ["difference", "message", "message"] * 3 + ["result"])


def test_one_answer_too_many(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(message: Message) -> list[Message]:
        return [Message(message.msg_id, b"answer")] * (2 if message.msg_id == 2 else 1)

    with _peer(answer) as (address, _):
        status, out, _ = _replay(capsys, recording, address)
    assert (status, out[0]) == (1, "an answer that was not recorded:")


def test_no_answer(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    with _peer(lambda _: []) as (address, _):
        status, _, err = _replay(capsys, recording, address, "--timeout", "0.2")
    assert status == 1
    assert f"no answer from {address} within 0.2 s; answers as recorded: 0" in err


def test_a_recording_without_answers_proves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "session.pcap")
    with Recorder(path) as recorder:
        track = recorder.connection("192.0.2.1:2", "192.0.2.2:55000")
        track.data(True, encode(DEFAULT_PREFIX, 1, b"question"))
    status, out, err = _replay(capsys, path, unused_address())
    assert (status, out) == (1, [])
    assert "no answers to the client, so there is nothing to compare" in err


def test_the_other_side(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    with _peer(lambda message: [Message(message.msg_id, b"question")]) as (address, received):
        status, _, err = _replay(capsys, recording, address, "--side", "server", "--timeout", "0.2")
    # The recorded side answered only, so the first question is waited for in vain.
    assert (status, received) == (1, [])
    assert "no answer" in err


def test_a_raw_stream_is_sent_and_the_answers_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raw").write_bytes(encode(DEFAULT_PREFIX, 7, b"question"))
    with _peer(lambda message: [Message(8, b"answer")]) as (address, received):
        status, out, _ = _replay(capsys, str(tmp_path / "raw"), address, "--timeout", "0.3")
    assert (status, received) == (0, [(7, b"question")])
    assert out == ["at 0  prefix 0xc0deface  size 10  msg_id 8  data: 6 bytes", "    answer"]


def test_what_cannot_be(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    address = unused_address()
    assert _replay(capsys, "no/such/file", address)[0] == 1
    status, _, err = _replay(capsys, recording, address)
    assert status == 1
    assert f"connection refused: nothing listens at {address}" in err
    status, _, err = _replay(capsys, recording, address, "--connection", "9")
    assert (status, "there is no connection 9; `vfiipc dump` lists them" in err) == (1, True)
    assert recording in err
    status, _, err = _replay(capsys, recording, address, "--prefix", "1")
    assert "no message with the prefix 0x00000001 in the recording" in err
    content = Path(recording).read_bytes()
    Path(recording).write_bytes(content[:-5])
    assert "damaged after" in _replay(capsys, recording, address)[2]
