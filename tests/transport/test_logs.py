"""What is logged: masks in the environment, lives of connections, and no payload unasked."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from tests.helpers.profiling import profiled
from vfiipc import IPC, TCP, Loopback, Pipe, loopback_pair
from vfiipc.codec import encode
from vfiipc.transport import TLS, logs

from .suite.base import LIMIT, LONG, PREFIX

SECRET = b"4111111111111111"

PROGRAM = f"""
import logging
from vfiipc import TCP
listener, client = TCP(), TCP()
listener.listen(0, "127.0.0.1")
client.connect(listener.local_addr(), 0)
server = listener.accept()
client.write(b"noise")
client.write_msg({PREFIX}, 7, {SECRET!r})
server.read_msg({PREFIX}, 100)
for ipc in (client, server, listener):
    ipc.close()
server.read(1)
logging.getLogger("vfiipc").critical("from elsewhere")
logging.getLogger("vfiipc.tls").critical("from TLS")
"""


def output(**environment: str) -> list[str]:
    """The lines on standard error, without the time in front."""
    clean = {name: value for name, value in os.environ.items() if "LOG" not in name}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**clean, **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert all(re.match(r"\d+\.\d{3} (IPC|IPCTLS) ", line) for line in lines), lines
    return [line.partition(" ")[2] for line in lines]


def matches(lines: list[str], *patterns: str) -> bool:
    return len(lines) == len(patterns) and all(map(re.fullmatch, patterns, lines))


ADDRESS = r"127\.0\.0\.1:\d+"


def test_without_a_mask_all_is_silent_but_for_what_others_log() -> None:  # IPC-L1, IPC-L2
    clean = {name: value for name, value in os.environ.items() if "LOG" not in name}
    for environment in (clean, {**clean, "IPC_LOGMASK": "0", "IPCTLS_LOGMASK": ""}):
        command = [sys.executable, "-c", PROGRAM.replace("logging.getLogger", "# ")]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=50)
        assert done.stderr == b""


@pytest.mark.long
def test_each_bit_selects_its_level() -> None:  # IPC-L1
    expected = {
        "1": [r"IPC from elsewhere"],
        "8": [r"IPC TCP broken: OSError: .*not connected"],
        "16": [r"IPC TCP 2 lost synchronisation at byte 0: found 6e 6f 69 73 65 41 44 4b, .*"],
        "32": [],
        "64": [
            rf"IPC TCP listens on {ADDRESS}",
            rf"IPC TCP 1 connected: {ADDRESS} to {ADDRESS}",
            rf"IPC TCP 2 accepted: {ADDRESS} to {ADDRESS}",
            r"IPC TCP 1 closed, 0 bytes discarded",
            r"IPC TCP 2 closed, 5 bytes discarded",
            rf"IPC TCP no longer listens on {ADDRESS}",
        ],
        "0x80": [
            r"IPC TCP 1 sent message 7, 16 bytes",
            r"IPC TCP 2 received message 7, 16 bytes",
        ],
    }
    for mask, patterns in expected.items():
        lines = output(IPC_LOGMASK=mask)
        assert matches(lines, *patterns), (mask, lines)
    assert len(output(IPC_LOGMASK="255")) == sum(map(len, expected.values()))
    assert output(IPC_LOGMASK="32", IPCTLS_LOGMASK="7") == ["IPCTLS from TLS"]
    assert output(IPC_LOGMASK="4", IPCTLS_LOGMASK="2") == ["IPC from elsewhere", "IPCTLS from TLS"]


def test_payloads_are_logged_only_when_asked_for() -> None:  # IPC-L5, IPC-G4
    shown = SECRET.hex(" ")
    for switch in ("", "0"):
        lines = output(IPC_LOGMASK="255", VFIIPC_LOG_PAYLOADS=switch)
        told = re.sub(ADDRESS, "", "\n".join(lines))  # a port can have the same digits
        assert shown[:5] not in told
        assert "4111" not in told
    lines = output(IPC_LOGMASK="128", VFIIPC_LOG_PAYLOADS="1")
    assert [line.partition(" bytes: ")[2] for line in lines] == [shown, shown]


@pytest.mark.parametrize("text", ["x", "-1", "256", "1.5"])
def test_a_mask_that_is_none_gives_a_warning(text: str) -> None:  # IPC-L1
    with pytest.warns(RuntimeWarning, match=r"IPC_LOGMASK is .*0\.\.255 is allowed"):
        assert logs.follow_masks({"IPC_LOGMASK": text}) == []


@pytest.fixture(params=["tcp", "pipe", "loopback"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], tuple[IPC, IPC]]]:
    opened: list[IPC] = []

    def make() -> tuple[IPC, IPC]:
        if request.param == "loopback":
            ends: tuple[IPC, ...] = loopback_pair()
            opened.extend(ends)
            return ends[0], ends[1]
        listener: TCP | Pipe = TCP() if request.param == "tcp" else Pipe()
        client: TCP | Pipe = TCP() if request.param == "tcp" else Pipe()
        opened.extend([listener, client])
        if isinstance(listener, TCP) and isinstance(client, TCP):
            assert listener.listen(0, "127.0.0.1")
            assert client.connect(listener.local_addr(), 0, LONG)
        elif isinstance(listener, Pipe) and isinstance(client, Pipe):
            assert listener.listen(tmp_path / "pipe")
            assert client.connect(tmp_path / "pipe", LONG)
        server = listener.accept(LONG)
        assert server is not None
        opened.append(server)
        return client, server

    yield make
    for ipc in opened:
        ipc.close()


Make = Callable[[], "tuple[IPC, IPC]"]


def texts(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    records = [record for record in caplog.records if record.levelno == level]
    assert all(record.name == "vfiipc" for record in records)
    return [record.getMessage() for record in records]


def test_every_message_of_every_transport(pair: Make, caplog: pytest.LogCaptureFixture) -> None:
    # IPC-L4
    caplog.set_level(logging.DEBUG, "vfiipc")
    first, second = pair()
    assert first.write_msg(PREFIX, -5, memoryview(bytes(8)).cast("I"))
    assert first.write_msgs(PREFIX, [(number, b"d" * number) for number in range(3)])
    received = [second.read_msg(PREFIX, LIMIT, LONG)]
    while len(received) < 4:
        received += second.read_msgs(PREFIX, LIMIT, LONG)
    sizes = [(-5, 8), (0, 0), (1, 1), (2, 2)]
    lines = [line.split(" ", 2) for line in texts(caplog, logging.DEBUG)]
    assert [text for _, _, text in lines if "sen" in text] == [
        f"{'sent' if size == 8 else 'sends'} message {msg_id}, {size} bytes"
        for msg_id, size in sizes
    ]
    assert [text for _, _, text in lines if "received" in text] == [
        f"received message {msg_id}, {size} bytes" for msg_id, size in sizes
    ]
    kind = type(first).__name__ if isinstance(first, (TCP, Pipe)) else Loopback.__name__
    assert {name for name, _, _ in lines} == {kind}
    assert len({number for _, number, _ in lines}) == 2


def test_what_is_wrong_with_a_message_is_said_by_the_sender(
    pair: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "vfiipc")
    first, second = pair()
    with pytest.raises(TypeError, match="bytes-like"):
        first.write_msgs(PREFIX, [(1, b"good"), (2, "text")])  # type: ignore[list-item]
    assert second.read_msg(PREFIX, LIMIT, LONG) == (1, b"good")


def test_life_and_loss_on_every_transport(pair: Make, caplog: pytest.LogCaptureFixture) -> None:
    # IPC-L3, IPC-L4
    caplog.set_level(logging.INFO, "vfiipc")
    first, second = pair()
    stream = b"noise" + encode(PREFIX, 1, b"a") + encode(PREFIX, 2, b"b") + b"more noise, and more"
    assert first.write(stream + encode(PREFIX, 3, b"c"))
    for msg_id in (1, 2, 3):
        message = second.read_msg(PREFIX, LIMIT, LONG)
        assert message is not None
        assert message.msg_id == msg_id
    first.close()
    assert second.read(1, LONG) == b""
    second.close()
    losses = texts(caplog, logging.WARNING)
    assert [re.findall(r"at byte (\d+): found ([0-9a-f ]+),", text)[0] for text in losses] == [
        ("0", (stream[:8]).hex(" ")),
        ("31", b"more noi".hex(" ")),
    ]
    events = [text.split(" ", 2)[2] for text in texts(caplog, logging.INFO)]
    assert "closed, 0 bytes discarded" in events
    assert events[-2:] == ["end of stream: the peer has closed", "closed, 25 bytes discarded"]
    assert sum(text.startswith(("connected: ", "accepted: ")) for text in events) == 2
    assert texts(caplog, logging.ERROR) == []
    assert texts(caplog, logging.DEBUG) == []


def test_what_breaks_a_connection_is_an_error(pair: Make, caplog: pytest.LogCaptureFixture) -> None:
    # IPC-L4
    first, second = pair()
    second.strict = True
    assert first.write(b"nothing of the kind")
    assert second.read_msg(PREFIX, LIMIT, LONG) is None
    assert second.read_msg(PREFIX, LIMIT, LONG) is None
    (text,) = texts(caplog, logging.ERROR)
    assert "broken: SyncLostError: synchronisation lost at byte 0: found 6e 6f" in text
    assert "nothing" not in text


def test_a_failed_connect_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:  # IPC-L4
    assert not Loopback().connect("nobody")
    (text,) = texts(caplog, logging.WARNING)
    assert text.startswith("Loopback failed: ConnectionRefusedError")


def test_tls_has_a_logger_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    assert not TLS().connect("127.0.0.1", 0)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("vfiipc.tls", "WARNING")
    assert record.getMessage().startswith("TLS failed: ")


def test_who_does_not_want_it_pays_nothing(caplog: pytest.LogCaptureFixture) -> None:  # IPC-L2
    caplog.set_level(logging.CRITICAL, "vfiipc")
    first, second = loopback_pair()
    called: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename in (logs.__file__, logging.__file__):
            called.append(frame.f_code.co_name)

    with first, second:
        with profiled(note):
            assert first.write_msg(PREFIX, 1, b"")
            assert first.write_msgs(PREFIX, [(2, b""), (3, b"")])
            assert first.write(b"no message" + encode(PREFIX, 4, b""))
            assert second.read_msg(PREFIX, LIMIT, LONG) == (1, b"")
            assert second.read_msgs(PREFIX, LIMIT, LONG) == [(2, b""), (3, b""), (4, b"")]
            assert second.read_msg(PREFIX, LIMIT, 0) is None
        assert second.discarded
    assert called == []
    assert caplog.records == []


FORGED = "x\n1 IPC forged\r\x1b[2J\x07\u2028\u202e\udcff\x85 ż"


def test_texts_from_outside_are_one_line_that_no_terminal_obeys() -> None:  # IPC-L6
    text = logs.shown(FORGED)
    assert text == r"x\n1 IPC forged\r\x1b[2J\x07\u2028\u202e\udcff\x85 ż"
    assert text.isprintable()
    assert logs.shown("127.0.0.1:80") == "127.0.0.1:80"
    assert logs.shown(OSError(5, "a\nb")) == r"[Errno 5] a\nb"


def test_every_line_of_a_connection_is_escaped(caplog: pytest.LogCaptureFixture) -> None:  # IPC-L6
    with caplog.at_level(logging.DEBUG, "vfiipc"):
        log = logs.ConnectionLog(logging.getLogger("vfiipc"), "TCP 1")
        log.event(f"connected: {FORGED}")
        log.broken(OSError(FORGED))
        log.failed(OSError(FORGED))
    assert len(caplog.messages) == 3
    assert all(message.isprintable() and "forged" in message for message in caplog.messages)
