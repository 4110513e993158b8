from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.cli.program import run, started
from vfiipc.__main__ import main
from vfiipc.cli.arguments import Parser
from vfiipc.cli.view import NOWHERE, Printer, Way, add_view
from vfiipc.codec import Message, encode, encode_header
from vfiipc.recording import Decoded, Recorder

PREFIX = 0x004E4659
GIVEN = ["--prefix", "0x004E4659"]
HELLO = encode(PREFIX, 7, b"hello")
STREAM = HELLO + encode(PREFIX, -1, b'{"a": [1]}') + encode(PREFIX, 0, b"\x00\xff")


def _dump(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = main(["dump", *argv])
    out, err = capsys.readouterr()
    return status, out, err


def _file(tmp_path: Path, content: bytes) -> str:
    (tmp_path / "file").write_bytes(content)
    return str(tmp_path / "file")


def test_a_raw_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _dump(capsys, _file(tmp_path, STREAM))
    assert status == 0
    assert out.splitlines() == [
        "at 0  prefix 0x004e4659  size 9  msg_id 7  data: 5 bytes",
        "    hello",
        "at 17  size 14  msg_id -1  data: 10 bytes",
        "    {",
        '      "a": [',
        "        1",
        "      ]",
        "    }",
        "at 39  size 6  msg_id 0  data: 2 bytes",
        "    00000000  00 ff                                            ..",
    ]
    assert err == "prefix 0x004e4659: sure, messages: 3, 100% of the bytes\nmessages: 3\n"


def test_what_was_dropped_and_cut_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = b"garbage" + HELLO + encode_header(PREFIX, 0, 99) + bytes(99) + HELLO[:-1]
    status, out, err = _dump(capsys, _file(tmp_path, content), *GIVEN, "--limit", "50")
    reason = "size 103 at 24 is above the limit of 50 bytes of data"
    assert status == 0
    assert out.splitlines() == [
        "at 0  discarded 7 bytes (67 61 72 62 61 67 65): no prefix",
        "at 7  prefix 0x004e4659  size 9  msg_id 7  data: 5 bytes",
        "    hello",
        f"at 24  discarded 111 bytes (00 4e 46 59 00 00 00 67 ...): {reason}",
        "at 135  message 7 cut off: 16 of 17 bytes",
    ]
    assert err == "messages: 1; bytes discarded: 118; cut off: 1\n"


def test_json_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _dump(capsys, _file(tmp_path, b"!" + STREAM + HELLO[:3]), *GIVEN, "--json")
    assert status == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["kind"] for line in lines] == ["discarded", *["message"] * 3, "cut"]
    assert lines[1] == {
        "kind": "message",
        "position": 1,
        "prefix": "0x004e4659",
        "size": 9,
        "msg_id": 7,
        "length": 5,
        "data": "68656c6c6f",
        "text": "hello",
    }
    assert lines[2]["json"] == {"a": [1]}
    assert "text" not in lines[3]


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_payload(form: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = _dump(capsys, _file(tmp_path, STREAM), *GIVEN, "--no-payload", *form)
    assert len(out.splitlines()) == 3
    assert "hello" not in out
    assert "68656c" not in out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--payload", "hex"], "    00000000  68 65 6c 6c 6f"),
        (["--show", "2"], "    he\n    ... and 3 bytes more (--show)\n"),
        (["--payload", "text"], "    hello\n"),
        (["--payload", "text"], r"    \x00\xff"),
    ],
)
def test_how_data_are_shown(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in _dump(capsys, _file(tmp_path, STREAM), *GIVEN, *options)[1]


def test_data_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = encode(PREFIX, 1, b"\x1b[2J") + encode(PREFIX, 1, b'{"\\u001b[2J": "\\u009b2J"}')
    for how in ("auto", "text"):
        _, out, _ = _dump(capsys, _file(tmp_path, content), *GIVEN, "--payload", how)
        assert "\x1b" not in out
        assert "\x9b" not in out


def test_a_hex_dump_from_a_pipe() -> None:
    text = "\n".join(STREAM[at : at + 8].hex(" ") for at in range(0, len(STREAM), 8))
    status, out, err = run("dump", "-", data=text.encode())
    assert (status, out.count(b"prefix 0x004e4659"), out.count(b"msg_id")) == (0, 1, 3)
    assert "sure" in err


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    with Recorder(tmp_path / "capture") as recorder:
        track = recorder.connection("192.0.2.1:40000", "192.0.2.2:5000")
        track.data(True, HELLO[:9])
        track.data(True, HELLO[9:] + HELLO)
        track.data(False, HELLO)
        track.end(True)
        track.end(False)
    return tmp_path / "capture"


def test_a_capture(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _dump(capsys, str(capture))
    assert status == 0
    ways = [line.split("  at ")[0].split("  ", 1)[1] for line in out.splitlines() if line[0] != " "]
    assert ways == ["#1  192.0.2.1:40000 > 192.0.2.2:5000", "#1 >", "#1 >", "#1 <"]
    assert err.endswith("messages: 3; connections: 1\n")


def test_a_capture_from_a_pipe(capture: Path) -> None:
    status, out, _ = run("dump", "-", "--json", data=capture.read_bytes())
    lines = [json.loads(line) for line in out.splitlines()]
    assert (status, len(lines)) == (0, 3)
    assert (lines[2]["connection"], lines[2]["from"]) == (1, "192.0.2.2:5000")


def test_a_damaged_capture_gives_what_can_be_read(
    capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = capture.read_bytes()
    capture.write_bytes(content[: content.rindex(HELLO) - 20])
    status, out, err = _dump(capsys, str(capture))
    assert (status, out.count("hello")) == (1, 2)
    assert "messages: 2" in err
    assert "damaged after 5 packets: truncated dump file" in err


def test_a_damaged_hex_dump(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = HELLO.hex().encode() + b"\nno digits\n"
    status, out, err = _dump(capsys, _file(tmp_path, content))
    assert (status, out.count("hello")) == (1, 1)
    assert "line 2: not pairs of hexadecimal digits" in err


def test_where_a_hex_dump_fails_is_told_even_if_nothing_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytes(32).hex(" ", 16).replace(" ", "\n").encode() + b"\nno digits\n"
    status, out, err = _dump(capsys, _file(tmp_path, content))
    assert (status, out) == (1, "")
    assert "no prefix found in 32 bytes before the input failed (line 3: not pairs of hex" in err


@pytest.mark.parametrize("time", [1e300, -1e300, float("nan"), float("inf"), 1e12, -1e12])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_times_that_make_no_sense_are_left_out(
    form: list[str], time: float, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = Parser()
    add_view(parser)
    printer = Printer(parser.parse_args(form), PREFIX)
    printer.item(Way(1, "here", "there"), Decoded(5, Message(1, b"hello")), time)
    printer.event(Way(1, "here", "there"), "closed", "closed", time)
    first, *between, last = capsys.readouterr().out.splitlines()
    if form:
        assert "time" not in json.loads(first)
        assert "time" not in json.loads(last)
    else:
        assert first == "#1  here > there"
        assert between[0].startswith("#1 >  at 5  ")
        assert last == "#1  closed"


def test_microseconds_are_exact(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser()
    add_view(parser)
    for time, shown in [(1.9999996, "02.000000"), (0.000005, "00.000005"), (59.25, "59.250000")]:
        Printer(parser.parse_args([]), PREFIX).event(NOWHERE, "closed", "closed", time)
        assert capsys.readouterr().out.split()[0].endswith(f":{shown}")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ": the input is empty"),
        (bytes(1000), ": no prefix found in 1,000 bytes; set it with --prefix"),
        (b"\x16\x03\x01" + bytes(100), "This looks like TLS"),
        (b"\xd4\xc3\xb2\xa1", "not a valid capture"),
    ],
)
def test_where_nothing_can_be_shown(
    content: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = _dump(capsys, _file(tmp_path, content))
    assert (status, out) == (1, "")
    assert says in err


def test_other_prefixes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, err = _dump(capsys, _file(tmp_path, HELLO * 9 + encode(0xC0DEFACE, 1, b"hello") * 5))
    assert "prefix 0x004e4659: sure, messages: 9" in err
    assert "also found: 0xc0deface; choose with --prefix" in err


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert _dump(capsys, "no/such/file") == (
        1,
        "",
        "vfiipc dump: cannot read no/such/file: no such file or directory\n",
    )


def test_messages_are_shown_as_they_come() -> None:
    reading, writing = os.pipe()
    try:
        with started("dump", "-", *GIVEN, "--format", "raw", stdin=reading) as running:
            os.write(writing, HELLO)
            assert running.line() == "at 0  prefix 0x004e4659  size 9  msg_id 7  data: 5 bytes"
            assert running.line() == "    hello"
            running.interrupt()
            assert running.end()[0] == 130
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal")
@pytest.mark.parametrize("rich", [True, False])
def test_a_long_file_on_a_terminal(
    rich: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _file(tmp_path, HELLO + encode(PREFIX, 1, bytes(9 << 20)))
    monkeypatch.setattr("vfiipc.cli.progress._somebody_looks_on", lambda: True)
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    status, out, err = _dump(capsys, path, *GIVEN, "--no-payload")
    assert (status, len(out.splitlines())) == (0, 2)
    assert ("pip install '.[cli]'" in err) is not rich


# --- filters --------------------------------------------------------------------------------------


@pytest.fixture
def conversation(tmp_path: Path) -> str:
    """A capture of two connections, whose messages are told apart by their IDs."""
    with Recorder(tmp_path / "conversation") as recorder:
        first = recorder.connection("192.0.2.1:40000", "192.0.2.2:5000")
        second = recorder.connection("192.0.2.1:40001", "192.0.2.2:5000")
        first.data(True, encode(PREFIX, 1, b'{"amount": 1999}') + b"!" + HELLO)
        first.data(False, encode(PREFIX, -1, b"ready"))
        second.data(True, encode(PREFIX, 2, b'{"amount": 5}') + encode(PREFIX, 9, b"bye"))
    return str(tmp_path / "conversation")


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--id", "1,5..9"], [1, 7, 9]),
        (["--id", "-1,9"], [-1, 9]),
        (["--connection", "2"], [2, 9]),
        (["--from", "server"], [-1]),
        (["--match", "^hel", "--match", "o$"], [7]),
        (["--json-match", "amount=1999"], [1]),
        (["--since", "2000-01-01", "--until", "2000-01-02"], []),
    ],
)
def test_filters(
    options: list[str], ids: list[int], conversation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = _dump(capsys, conversation, *GIVEN, "--json", *options)
    lines = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [line["msg_id"] for line in lines if line["kind"] == "message"] == ids
    assert f"messages: 5; shown: {len(ids)}; connections: 2" in err


def test_filters_for_messages_hide_what_is_none(
    conversation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "discarded" in _dump(capsys, conversation, *GIVEN, "--connection", "1")[1]
    assert "discarded" not in _dump(capsys, conversation, *GIVEN, "--match", "")[1]


def test_what_only_a_capture_tells_is_asked_of_no_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = _dump(capsys, _file(tmp_path, STREAM), "--from", "client")
    assert (status, out) == (1, "")
    assert "holds one stream without times; --connection, --from, --since and --until need" in err


# --- a file that grows ----------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("options", [[], GIVEN])
def test_a_capture_that_grows_is_followed(options: list[str], capture: Path) -> None:
    content = capture.read_bytes()
    cut = content.rindex(HELLO) + 5  # within the last message, and within a packet
    capture.write_bytes(content[:cut])
    with started("dump", "--follow", str(capture), "--json", *options) as running:
        lines = [json.loads(running.line()) for _ in range(2)]
        with capture.open("ab") as file:
            file.write(content[cut : cut + 2])
            file.flush()
            file.write(content[cut + 2 :])
        lines.append(json.loads(running.line()))
        running.interrupt()
        status, out, err = running.end()
    assert (status, out) == (130, b"")
    assert [line["from"] for line in lines] == ["192.0.2.1:40000"] * 2 + ["192.0.2.2:5000"]
    assert err.endswith("messages: 3; connections: 1\n")


def test_a_stream_that_grows_is_followed(tmp_path: Path) -> None:
    path = Path(_file(tmp_path, HELLO[:3]))
    with started("dump", "--follow", str(path), "--format", "raw") as running:
        with path.open("ab") as file:
            file.write(HELLO[3:])
        assert running.line() == "at 0  prefix 0x004e4659  size 9  msg_id 7  data: 5 bytes"
        assert running.line() == "    hello"
        path.write_bytes(b"")  # like a program that begins its recording again
        status, _, err = running.end()
    assert status == 1
    assert f"vfiipc dump: {path}: cannot be read: the file has become shorter\n" in err
