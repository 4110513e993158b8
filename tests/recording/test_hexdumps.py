from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.helpers.requirements import program
from vfiipc.cli.hexdump import dump
from vfiipc.recording import HexDumpError, looks_like_hex_dump, parse_hex_dump


def _read(text: str) -> bytes:
    return b"".join(parse_hex_dump(text.splitlines(keepends=True)))


#: Data whose column of characters looks like digits, repeats itself, ends within a line.
DATA = [
    b"41 42 43 44 45 46",
    b"ABCDEF0123456789" * 5,
    bytes(100) + b"end",
    bytes(range(256)),
    b"\x00",
    b"AB" * 8,
    b"deadbeef" * 3,
]

PROGRAMS = [
    ["xxd"],
    ["xxd", "-a"],
    ["xxd", "-p"],
    ["xxd", "-g", "1", "-c", "8"],
    ["hexdump", "-C"],
    ["hexdump", "-vC"],
    ["od", "-A", "x", "-t", "x1"],
    ["od", "-A", "x", "-t", "x1z", "-v"],
]


@pytest.mark.parametrize("command", PROGRAMS, ids=" ".join)
def test_what_other_programs_write(command: list[str]) -> None:
    for data in DATA:
        done = subprocess.run(
            [program(command[0]), *command[1:]], input=data, stdout=subprocess.PIPE, check=True
        )
        text = done.stdout.decode()
        assert looks_like_hex_dump(text), text
        assert _read(text) == data, text


@given(st.binary(min_size=1, max_size=200))
@example(b"00" + bytes(6))
def test_what_this_program_writes(data: bytes) -> None:
    text = "\n".join(dump(data))
    assert looks_like_hex_dump(text)
    assert _read(text) == data


@pytest.mark.parametrize(
    "text",
    [
        "0200ff41",
        "02 00 ff 41",
        "02:00:FF:41",
        "0x02, 0x00,\n0xff, 0x41\n",
        r"\x02\x00\xff\x41",
        "# a comment\n\n02 00\r\nff 41\r\n",
        "0000   02 00 ff 41   ...A",
        "0x0000:  0200 ff41  ...A",
        "00000000  02 00 ff\n00000003  41\n",
    ],
)
def test_the_same_four_bytes(text: str) -> None:
    assert looks_like_hex_dump(text)
    assert _read(text) == b"\x02\x00\xff\x41"


def test_a_gap_in_the_middle_of_the_line() -> None:
    data = bytes(range(0x40, 0x50))
    left, right = data[:8].hex(" "), data[8:].hex(" ")
    assert _read(f"0000   {left}  {right}   {data.decode()}") == data


@pytest.mark.long
def test_a_line_that_would_have_to_be_cut_is_refused() -> None:
    data = bytes(1 << 20)
    assert _read("0000: " + data.hex()) == data
    with pytest.raises(HexDumpError, match="line 1: more than 1,048,576 bytes"):
        _read("0000: 00" + data.hex())


def test_plain_lines_of_eight_bytes_are_no_offsets() -> None:
    assert _read("c0deface0000000d\n0000000768656c6c\n6f") == bytes.fromhex(
        "c0deface0000000d0000000768656c6c6f"
    )


def test_nothing_is_nothing() -> None:
    assert _read("") == b""
    assert not looks_like_hex_dump("")
    assert not looks_like_hex_dump("Dear reader,\n")


@pytest.mark.parametrize(
    ("text", "before", "says"),
    [
        ("0200\nxx00\n", b"\x02\x00", "line 2: not pairs"),
        ("0200\n000\n", b"\x02\x00", "line 2: not pairs"),
        ("0000: 0200\n0003: 00\n", b"\x02\x00", "line 1: 2 bytes; by the next offset, it has 3"),
        ("0000: 0200\n0000: 00\n", b"", "line 2: unexpected offset 0x0"),
        ("0000: 0200\n0002: 01\nhello\n", b"\x02\x00", "line 3: no offset, unlike"),
        ("0000000 0002 41ff 4141\n", b"", "line 1: 16-bit words"),
        ("0000: 0200\nffffffffffff: 00\n", b"", "line 2: unexpected offset 0xffffffffffff"),
    ],
)
def test_damage_is_named_and_what_is_before_it_is_read(text: str, before: bytes, says: str) -> None:
    pieces: list[bytes] = []
    with pytest.raises(HexDumpError, match=says):
        pieces.extend(parse_hex_dump(text.splitlines()))
    assert b"".join(pieces) == before
