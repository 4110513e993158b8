from __future__ import annotations

import re

import pytest

from vfiipc.cli.hexdump import dump, dump_message
from vfiipc.codec import MESSAGE, encode


def test_dump_shows_every_byte() -> None:
    data = bytes(range(256)) + b"tail"
    lines = list(dump(data))
    assert lines[4] == f"00000040  {data[64:80].hex(' ')}  @ABCDEFGHIJKLMNO"
    assert bytes.fromhex("".join(line[10:57] for line in lines)) == data
    assert list(dump(b"")) == []


@pytest.mark.parametrize("data", [b"", b"x", b"eight by", bytes(range(33))])
def test_message_dump_follows_the_declaration(data: bytes) -> None:
    frame = encode(0x004E4659, -7, data)
    head, *lines = dump_message(frame)
    assert head.split() == ["offset", "width", "field", "bytes", "value"]
    rows = [re.match(r" {0,5}(\d+) {2} *(\d+) {2}(\w+)", line) for line in lines]
    found = [(int(row[1]), int(row[2]), row[3]) for row in rows if row]
    assert [name for _, _, name in found] == [field.name for field in MESSAGE.subcons]
    assert [offset for offset, _, _ in found] == [
        sum(width for _, width, _ in found[:index]) for index in range(len(found))
    ]
    assert bytes.fromhex("".join(line[25:48] for line in lines)) == frame
    assert "0x004e4659" in lines[0]
    assert lines[2].endswith(" -7")
