from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfiipc.cli.payload import FORMS, is_text, json_members, shown

ALL = 1 << 30


def _shown(data: bytes, how: str = "auto", most: int = ALL) -> str:
    return "".join(shown(data, how, most))


def _members(data: bytes, most: int = ALL) -> dict[str, object]:
    line = "".join(json_members(data, most))
    assert line.isascii()
    assert "\n" not in line
    members: dict[str, object] = json.loads(f"{{{line}}}")
    return members


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", True),
        ("Grüße\tund\nZeilen\r\n".encode(), True),
        (b"\xff", False),
        (b"\x1b[2J", False),
        (b"over\rwritten", False),
        (b"\r", False),
        (b"\0", False),
        (b"x" * 8191 + b"\r\n", True),  # across the pieces in which it is looked at
        (b"x" * 8191 + b"\r!", False),
        (b"x" * 8191 + "€".encode(), True),
    ],
)
def test_text_is_what_a_terminal_can_show(data: bytes, expected: bool) -> None:
    assert is_text(data) is expected


@pytest.mark.parametrize(
    ("data", "how", "text"),
    [
        (
            b'{"amount": 100.00, "a": 1, "a": 2}',
            "auto",
            '{\n  "amount": 100.00,\n  "a": 1,\n  "a": 2\n}',
        ),
        (b"[1e999]", "json", "[\n  1e999\n]"),
        (b"[1, 2", "auto", "[1, 2"),
        (b"100.00", "auto", "100.00"),
        (b'{"a": "\xc2\x9b\xe2\x80\xae"}', "auto", '{\n  "a": "\\u009b\\u202e"\n}'),
        (b"one\r\ntwo\n", "auto", "one\r\ntwo\n"),
        (b"a\rb\x1b\xff\xc5", "text", "a\\rb\\x1b\\xff\\xc5"),
        (b"\x00A", "auto", "00000000  00 41" + " " * 44 + ".A"),
        (b"text", "json", "00000000  74 65 78 74" + " " * 38 + "text"),
        (b"text", "hex", "00000000  74 65 78 74" + " " * 38 + "text"),
        (b"text", "none", ""),
        (b"", "auto", ""),
    ],
)
def test_nothing_is_altered(data: bytes, how: str, text: str) -> None:
    assert _shown(data, how) == text


@pytest.mark.parametrize(
    ("data", "most", "text"),
    [
        (b"hello", 2, "he\n... and 3 bytes more (--show)"),
        (b"hello", 4, "hell\n... and 1 byte more (--show)"),
        (b"hello", 5, "hello"),
        (b"hello", 0, "... and 5 bytes more (--show)"),
        ("aŻ".encode(), 2, "a\n... and 2 bytes more (--show)"),
        ("😀".encode(), 3, "... and 4 bytes more (--show)"),
        (b"a\r\nb", 2, "a\n... and 3 bytes more (--show)"),
        (b'{"a": "bcd"}', 8, '{\n  "a": "b\n... and 4 bytes more (--show)'),
        (b'{"a": "b"} no JSON', 10, '{\n  "a": "b"\n}\n... and 8 bytes more (--show)'),
        (b"\0" * 20, 17, None),
    ],
)
def test_it_stops_where_it_is_told_to(data: bytes, most: int, text: str | None) -> None:
    made = _shown(data, most=most)
    if text is None:
        assert made.endswith("\n... and 3 bytes more (--show)")
        assert made.count("\n") == 2
    else:
        assert made == text


def test_what_comes_behind_does_not_matter() -> None:
    class Watched(bytes):
        """Bytes that tell how much of them was looked at."""

        seen = 0

        def __getitem__(self, key: object) -> object:  # type: ignore[override]
            stop = key.stop if isinstance(key, slice) else key
            assert isinstance(stop, int)
            Watched.seen = max(Watched.seen, stop)
            return super().__getitem__(key)  # type: ignore[call-overload]

    _shown(Watched(b"[1, 2, 3" + b" " * 1000), most=8)
    assert Watched.seen <= 16


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode), st.integers(0, 70))
def test_no_data_make_it_fail(data: bytes, most: int) -> None:
    for how in FORMS:
        text = _shown(data, how, most)
        assert all(char.isprintable() or char in "\t\r\n" for char in text)
        assert "\r" not in text.replace("\r\n", "")
    members = _members(data, most)
    assert members["data"] == data.hex()
    assert ("text" in members) is is_text(data)
    assert members.get("text", data.decode("utf-8", "replace")) == data.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("data", "most", "member"),
    [
        (b'{"amount": 100.00, "a": 1, "a": 2}', ALL, '{"amount": 100.00, "a": 1, "a": 2}'),
        (b"[1e999]\n", ALL, "[1e999]"),
        (b"1.10", ALL, "1.10"),
        ('["Ż😀\x7f\u2028"]'.encode(), ALL, '["\\u017b\\ud83d\\ude00\\u007f\\u2028"]'),
        (b"[1, 2]", 6, "[1, 2]"),
        (b"[1, 2]", 5, None),
        (b"[NaN]", ALL, None),
        (b"[Infinity]", ALL, None),
        (b"[1]\xff", ALL, None),
        (b"\xef\xbb\xbf[1]", ALL, None),
        (b"hello", ALL, None),
        (b"", ALL, None),
        (b"[" * 3000 + b"]" * 3000, ALL, "[" * 3000 + "]" * 3000),
    ],
)
def test_json_for_programs(data: bytes, most: int, member: str | None) -> None:
    line = "".join(json_members(data, most))
    _, found, text = line.partition(', "json": ')
    assert (text if found else None) == member
    assert line.isascii()


@pytest.mark.parametrize(
    "data",
    [
        b"[" + b"1," * 40_000 + b"1]",
        b"[" * 40_000 + b"]" * 40_000,
        b"[" + b'{"a":1},' * 10_000 + b"1]",
        b'["' + b"\\n" * 40_000 + b'"]',
        b"[" + b"1," * 40_000 + b"!",
        ('["' + "Ż" * 40_000 + '😀"]').encode(),
        b"a" * 80_000 + "😀".encode(),
        b"\x00" * 80_000,
    ],
    ids=["array", "depth", "objects", "escapes", "nearly", "wide", "text", "binary"],
)
@pytest.mark.long
def test_it_takes_little_memory(data: bytes) -> None:
    def peak(pieces: object) -> int:
        tracemalloc.start()
        try:
            for _ in pieces:  # type: ignore[attr-defined]
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    for how in ("auto", "text"):
        assert peak(shown(data, how, ALL)) < 10 * len(data)
    assert peak(json_members(data, ALL)) < 10 * len(data)
    assert peak(shown(data, "auto", 4096)) < 500_000
