from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import FrameType

import pytest

from tests.helpers.profiling import profiled
from tests.helpers.requirements import program
from vfiipc.codec import encode
from vfiipc.recording import (
    Annotator,
    Capture,
    CaptureError,
    Chunk,
    MissingReader,
    Recorder,
    guess_prefixes,
    is_capture,
)


def _record(path: Path, client: str = "192.0.2.1:40000", server: str = "192.0.2.2:55000") -> None:
    with Recorder(path) as recorder:
        track = recorder.connection(client, server)
        track.data(True, b"question")
        track.data(False, bytes(100_000))
        track.end(True)
        track.end(True)
        track.end(False)
        track.cut()
        recorder.connection(client, server).cut()


def _streams(path: Path) -> dict[tuple[int, bool], bytes]:
    streams: dict[tuple[int, bool], bytes] = {}
    with Capture(path) as capture:
        for chunk in capture.chunks():
            key = (chunk.connection.number, chunk.from_client)
            streams[key] = streams.get(key, b"") + chunk.data
            assert chunk.gap == 0
    return {key: stream for key, stream in streams.items() if stream}


FAULTS = (
    "tcp.analysis.flags && !tcp.analysis.reused_ports || _ws.malformed "
    "|| tcp.checksum.status == 0 || ip.checksum.status == 0"
)
EXPECTED = {(1, True): b"question", (1, False): bytes(100_000)}


@pytest.mark.parametrize("form", ["pcap", "pcapng", "nsecpcap"])
def test_a_recording_is_read_in_every_format(form: str, tmp_path: Path) -> None:
    _record(tmp_path / "a")
    subprocess.run([program("editcap"), "-F", form, tmp_path / "a", tmp_path / "b"], check=True)
    assert is_capture((tmp_path / "b").read_bytes()[:4])
    assert _streams(tmp_path / "b") == EXPECTED


@pytest.mark.parametrize(
    ("client", "server", "seen"),
    [
        ("[::1]:40000", "[2001:db8::1]:5000", "[::1]:40000"),
        ("1000 0 0", "", "127.0.0.1:49152"),
        ("[::1]:40000", "", "[::1]:40000"),
    ],
)
def test_other_addresses(client: str, server: str, seen: str, tmp_path: Path) -> None:
    _record(tmp_path / "a", client, server)
    assert _streams(tmp_path / "a") == EXPECTED
    with Capture(tmp_path / "a") as capture:
        assert next(capture.chunks()).connection.client == seen


def test_tshark_finds_no_fault_with_it(tmp_path: Path) -> None:
    _record(tmp_path / "a")
    command = [program("tshark"), "-r", str(tmp_path / "a"), "-o", "tcp.check_checksum:TRUE"]
    command += ["-o", "ip.check_checksum:TRUE", "-Y", FAULTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout == ""
    command = [program("tshark"), "-r", str(tmp_path / "a"), "-q", "-z", "follow,tcp,raw,0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    assert b"question".hex() in done.stdout


def test_only_the_owner_can_read_it_and_nothing_is_overwritten(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        _record(tmp_path / "a")
    finally:
        os.umask(former)
    if os.name == "posix":
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    before = (tmp_path / "a").read_bytes()
    with pytest.raises(FileExistsError):
        Recorder(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before


def test_nothing_is_written_once_it_is_closed(tmp_path: Path) -> None:
    with Recorder(tmp_path / "a") as recorder:
        track = recorder.connection("192.0.2.1:1", "192.0.2.2:2")
    size = (tmp_path / "a").stat().st_size
    track.data(True, b"late")
    assert (tmp_path / "a").stat().st_size == size


def test_a_damaged_file_gives_what_is_before_the_damage(tmp_path: Path) -> None:
    _record(tmp_path / "a")
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:1000])
    seen: list[Chunk] = []
    with Capture(tmp_path / "a") as capture, pytest.raises(CaptureError, match="damaged after 4"):
        seen.extend(capture.chunks())
    assert b"".join(chunk.data for chunk in seen) == b"question"


@pytest.mark.parametrize("content", [b"", b"\xd4\xc3\xb2\xa1", b"no capture at all" * 10])
def test_what_is_no_capture(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(CaptureError, match="not a valid capture"):
        Capture(tmp_path / "a")


def test_a_link_that_is_not_understood(tmp_path: Path) -> None:
    _record(tmp_path / "a")
    content = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(
        content[:20]
        + bytes([147, 0, 0, 0][:: 1 if sys.byteorder == "little" else -1])
        + content[24:]
    )
    with pytest.raises(CaptureError, match="link type 147"):
        Capture(tmp_path / "a")


def test_without_the_library_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _record(tmp_path / "a")
    monkeypatch.setitem(sys.modules, "cypcap", None)
    with pytest.raises(MissingReader, match=r"pip install '\.\[cli\]'"):
        Capture(tmp_path / "a")


def test_the_declaration_is_not_walked_for_each_message(tmp_path: Path) -> None:
    with Recorder(tmp_path / "a") as recorder:
        track = recorder.connection("192.0.2.1:40000", "192.0.2.2:5000")
        for number in range(100):
            track.data(True, b"?" + encode(5, number, b"hello"))
    interpreted = 0

    def called(frame: FrameType, *_: object) -> None:
        nonlocal interpreted
        interpreted += "construct" in frame.f_code.co_filename

    with profiled(called), Capture(tmp_path / "a") as capture:
        pieces = [chunk.data for chunk in capture.chunks()]
        guess_prefixes(pieces, 100)
        annotator = Annotator(5, 100)
        items = [item for piece in pieces for item in annotator.feed(piece)]
    assert (len(items), interpreted) == (200, 0)
