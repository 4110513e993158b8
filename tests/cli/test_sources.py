"""Whatever people have as input: pipes of every kind, compression, encodings."""

from __future__ import annotations

import codecs
import gzip
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.program import ENVIRONMENT, PROGRAM, TIMEOUT, Ended, run, started
from tests.helpers.cost import peak_of, quickest
from tests.helpers.pcapng import Writer
from vfiipc.cli.sources import Damaged, Source
from vfiipc.codec import encode
from vfiipc.recording import Recorder

PREFIX = 0x004E4659
GIVEN = ["--prefix", "0x004E4659"]
HELLO = encode(PREFIX, 7, b"hello")
STREAM = HELLO * 3

needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs FIFOs and /dev/stdin")


def _pcap(tmp_path: Path) -> bytes:
    path = tmp_path / "recorded"
    with Recorder(path) as recorder:
        recorder.connection("192.0.2.1:40000", "192.0.2.2:5000").data(True, STREAM)
    return path.read_bytes()


def _pcapng(tmp_path: Path) -> bytes:
    pcap, w = _pcap(tmp_path), Writer()
    (tmp_path / "recorded").unlink()
    parts = [w.section(), w.interface(101)]
    at = 24
    while at < len(pcap):
        size = int.from_bytes(pcap[at + 8 : at + 12], sys.byteorder)
        parts.append(w.packet(pcap[at + 16 : at + 16 + size]))
        at += 16 + size
    return b"".join(parts)


FORMS: dict[str, Callable[[Path], bytes]] = {
    "raw": lambda _: STREAM,
    "hex": lambda _: STREAM.hex(" ").encode(),
    "pcap": _pcap,
    "pcapng": _pcapng,
}


PACKED = ["raw", "hex packed", "pcap", "pcap packed", "pcapng"]
LONG = {"hex packed", "pcap", "pcapng"}


@pytest.fixture(
    params=[pytest.param(form, marks=[pytest.mark.long] if form in LONG else []) for form in PACKED]
)
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    form, *packing = request.param.split()
    content = FORMS[form](tmp_path)
    return gzip.compress(content) if packing else content


@pytest.fixture
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go; at the end none is left."""
    folder = tmp_path / "spools"
    folder.mkdir()
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def _is_shown(done: Ended) -> None:
    assert (done.status, done.out.count(b"hello")) == (0, 3), done.err
    assert "messages: 3" in done.err


@needs_posix
def test_a_fifo(packed: bytes, tmp_path: Path, spools: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(packed,))
    writer.start()
    _is_shown(run("dump", str(fifo), *GIVEN))
    writer.join(TIMEOUT)


@needs_posix
def test_process_substitution(packed: bytes, spools: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, packed)
    os.close(writing)
    command = [*PROGRAM, "dump", f"/dev/fd/{reading}"]  # also without --prefix it is read once
    done = subprocess.run(
        command, pass_fds=[reading], capture_output=True, timeout=TIMEOUT, env=ENVIRONMENT
    )
    os.close(reading)
    _is_shown(Ended(done.returncode, done.stdout, done.stderr.decode()))


@needs_posix
@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_as_a_pipe_and_as_a_file(
    name: str, packed: bytes, tmp_path: Path, spools: Path
) -> None:
    _is_shown(run("dump", name, *GIVEN, data=packed))
    (tmp_path / "file").write_bytes(packed)
    with (tmp_path / "file").open("rb") as file:
        done = subprocess.run(
            [*PROGRAM, "dump", name], stdin=file, capture_output=True, timeout=TIMEOUT
        )
    _is_shown(Ended(done.returncode, done.stdout, done.stderr.decode()))


def test_a_file(packed: bytes, tmp_path: Path, spools: Path) -> None:
    (tmp_path / "file").write_bytes(packed)
    _is_shown(run("dump", str(tmp_path / "file")))


@needs_posix
def test_what_it_is_does_not_depend_on_how_it_arrives(packed: bytes, spools: Path) -> None:
    reading, writing = os.pipe()
    with started("dump", "-", *GIVEN, stdin=reading) as running:
        os.close(reading)
        for at in range(8):
            os.write(writing, packed[at : at + 1])
            time.sleep(0.01)  # so that some of them come alone
        os.write(writing, packed[8:])
        os.close(writing)
        _is_shown(running.end())


def test_members_of_a_packed_file_follow_each_other(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(gzip.compress(HELLO) + gzip.compress(STREAM[len(HELLO) :]))
    _is_shown(run("dump", str(tmp_path / "file")))


@pytest.mark.parametrize("cut", [5, 30, -1])
def test_a_packed_file_that_is_damaged(cut: int, tmp_path: Path, spools: Path) -> None:
    (tmp_path / "file").write_bytes(gzip.compress(os.urandom(9) + _pcap(tmp_path))[:cut])
    done = run("dump", str(tmp_path / "file"), *GIVEN)
    assert done.status == 1
    assert "cannot be read: Compressed file ended before the end-of-stream marker" in done.err


@pytest.mark.parametrize("damage", [20, -6])
def test_a_packed_capture_that_is_damaged(damage: int, tmp_path: Path, spools: Path) -> None:
    content = bytearray(gzip.compress(_pcap(tmp_path)))
    content[damage] ^= 0xFF
    (tmp_path / "file").write_bytes(content)
    done = run("dump", str(tmp_path / "file"), *GIVEN)
    assert done.status in (1, 2)
    assert done.err.startswith("vfiipc dump: ")
    assert done.err.count("\n") == 1


def test_raw_is_what_is_in_the_file(tmp_path: Path) -> None:
    prefix = int.from_bytes(b"\x1f\x8b\x08\x00", "big")
    (tmp_path / "file").write_bytes(encode(prefix, 7, b"hello") * 3)
    _is_shown(run("dump", str(tmp_path / "file"), "--format", "raw"))


@pytest.mark.parametrize("form", [[], ["--format", "hex"]])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_the_encoding_of_a_hex_dump(form: list[str], encoding: str, tmp_path: Path) -> None:
    text = "# Gerät 1\r\n" + "\r\n".join(STREAM[at : at + 16].hex(" ") for at in range(0, 51, 16))
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    (tmp_path / "file").write_bytes(mark + text.encode(encoding))
    _is_shown(run("dump", str(tmp_path / "file"), *form))


def test_a_hex_dump_is_shown_line_by_line() -> None:
    reading, writing = os.pipe()
    with started("dump", "-", *GIVEN, stdin=reading) as running:
        os.close(reading)
        os.write(writing, HELLO.hex(" ").encode() + b"\n")
        assert running.line() == "at 0  prefix 0x004e4659  size 9  msg_id 7  data: 5 bytes"
        os.close(writing)
        assert running.end().status == 0


def test_replay_reads_the_same() -> None:
    done = run("replay", "-", "127.0.0.1:1", *GIVEN, data=gzip.compress(HELLO))
    assert done.status == 1
    assert "nothing listens at" in done.err


def _read(path: Path) -> int:
    with Source(str(path), "auto") as source:
        assert source.form == "hex"
        return sum(len(chunk.data) for chunk in source.chunks())


@pytest.mark.parametrize("between", ["", " "])
def test_one_long_line_costs_some_times_what_its_digits_do(between: str, tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    text = data.hex(between) if between else data.hex()
    (tmp_path / "file").write_text(text, encoding="ascii")
    digits = quickest(lambda: bytes.fromhex(text))
    assert quickest(lambda: _read(tmp_path / "file")) < 80 * max(0.002, digits)


def test_one_long_line_needs_some_times_its_own_size(tmp_path: Path) -> None:
    text = os.urandom(1 << 20).hex(" ")
    (tmp_path / "file").write_text(text, encoding="ascii")
    assert peak_of(lambda: _read(tmp_path / "file")) < 8 * len(text)


def test_a_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        Source(str(tmp_path), "auto")


def test_damage_at_the_beginning_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x1f\x8b\x08" + b"\xff" * 30)
    with pytest.raises((Damaged, OSError)):
        Source(str(tmp_path / "file"), "auto")
