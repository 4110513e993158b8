"""The pattern that finds headers, and the tail that may become one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codec.model import JUDGED_SIZE
from vfiipc.codec import MAX_DATA_SIZE, encode_header, search
from vfiipc.codec.search import header_pattern, next_candidate, prefix_tail
from vfiipc.testing import prefixes

BORDERS = [4, 5, 0xFF, 0x100, 0x101, 0xFFFF, 0x10000, 0xFFFFFF, 0x1000000, 2**31 - 1]


@given(
    prefix=prefixes(),
    highest=st.sampled_from(BORDERS) | st.integers(4, MAX_DATA_SIZE + 4),
    size=st.sampled_from([0, 3, 2**31, 2**32 - 1, *BORDERS]) | st.integers(0, 2**32 - 1),
    step=st.integers(-2, 2),
)
def test_the_pattern_matches_exactly_the_sizes_allowed(
    prefix: int, highest: int, size: int, step: int
) -> None:
    pattern = header_pattern(prefix, highest)
    mark = encode_header(prefix, 0, 0)[:4]
    for value in (size, (highest + step) % 2**32):
        found = pattern.fullmatch(mark + value.to_bytes(4, "big"))
        assert (found is not None) == (4 <= value <= highest)
    assert not pattern.fullmatch(bytes([mark[0] ^ 1]) + mark[1:] + (4).to_bytes(4, "big"))


@given(prefix=prefixes(), before=st.binary(max_size=20), at=st.integers(0, 20))
def test_the_next_candidate_is_the_first_header_or_too_near_the_end(
    prefix: int, before: bytes, at: int
) -> None:
    data = before + encode_header(prefix, 0, 3)[:JUDGED_SIZE]
    at = min(at, len(data))
    pattern = header_pattern(prefix, 100)
    places = [place for place in range(at, len(data)) if pattern.match(data, place)]
    found = next_candidate(pattern, data, at)
    assert found == (places[0] if places else max(at, len(data) - JUDGED_SIZE + 1))


def test_what_is_too_near_the_end_is_left() -> None:
    pattern = header_pattern(1, 100)
    assert next_candidate(pattern, b"-" * 20, 3) == 13
    assert next_candidate(pattern, b"-" * 20, 15) == 15
    assert next_candidate(pattern, b"-" * 20, 20) == 20


@pytest.mark.parametrize(
    ("prefix", "tail", "count"),
    [
        ("a1b2c3d4", "a1b2c3", 3),
        ("a1b2c3d4", "ffa1b2", 2),
        ("a1b2c3d4", "b2c3a1", 1),
        ("a1b2c3d4", "b2c3d4", 0),
        ("a1b2c3d4", "", 0),
        ("a1b2c3d4", "a1", 1),
        ("00000000", "000000", 3),
        ("00000000", "0000000000", 3),
        ("00000001", "ff0000", 2),
        ("abababab", "abab", 2),
        ("abcdabcd", "abcdab", 3),
        ("abcdabcd", "abcdcdab", 1),
        ("aab0aaaa", "0aab", 0),
        ("aa0baa0c", "0baa", 1),
    ],
)
def test_the_longest_tail_counts(prefix: str, tail: str, count: int) -> None:
    assert prefix_tail(bytes.fromhex(prefix), bytes.fromhex(tail)) == count


DIGITS = st.lists(st.sampled_from([0x00, 0x01, 0x02, 0x7F, 0xFE, 0xFF]), min_size=3, max_size=3)


@given(ends=st.tuples(DIGITS, DIGITS).map(sorted), number=DIGITS)
def test_the_parts_of_a_range_are_the_range(ends: list[list[int]], number: list[int]) -> None:
    lowest, highest = map(tuple, ends)
    parts = search._alternatives(lowest, highest)
    for digits in (number, *ends):
        holding = [
            part for part in parts if all(low <= d <= high for d, (low, high) in zip(digits, part))
        ]
        assert len(holding) == (lowest <= tuple(digits) <= highest)


@pytest.mark.parametrize(
    ("low", "high", "pattern"),
    [(0, 255, b"."), (0, 254, rb"[\x00-\xfe]"), (1, 255, rb"[\x01-\xff]"), (7, 7, b"\x07")],
)
def test_bytes_are_matched_in_the_quickest_way(low: int, high: int, pattern: bytes) -> None:
    found = search._one_byte(low, high)
    assert len(found) == len(pattern.decode("unicode_escape"))
    assert [re.fullmatch(found, bytes([byte]), re.DOTALL) is not None for byte in range(256)] == [
        low <= byte <= high for byte in range(256)
    ]


def test_patterns_are_compiled_once() -> None:
    assert header_pattern(77, 1000) is header_pattern(77, 1000)
