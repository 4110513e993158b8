"""The pattern that finds headers, and the tail that may become one."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.codec.model import PREFIX_AND_SIZE
from vfiipc.codec import MAX_DATA_SIZE, encode_header
from vfiipc.codec.search import header_pattern, next_candidate, prefix_tail
from vfiipc.testing import prefixes

PREFIX = 0x41444B21
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
    data = before + encode_header(prefix, 0, 3)[:PREFIX_AND_SIZE]
    at = min(at, len(data))
    pattern = header_pattern(prefix, 100)
    places = [place for place in range(at, len(data)) if pattern.match(data, place)]
    found = next_candidate(pattern, data, at)
    assert found == (places[0] if places else max(at, len(data) - PREFIX_AND_SIZE + 1))


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


@pytest.mark.parametrize("power", range(4))
@pytest.mark.parametrize("lower", [0x00, 0x01, 0x7F, 0xFE, 0xFF])
def test_every_byte_may_be_the_end_of_a_range(power: int, lower: int) -> None:
    """Those that mean something in a regular expression, too, wherever they stand in the size."""
    mark = encode_header(PREFIX, 0, 0)[:4]
    for byte in range(1, 0x80 if power == 3 else 0x100):
        highest = byte << 8 * power | lower * ((1 << 8 * power) - 1) // 0xFF
        if highest < 4:
            continue
        pattern = header_pattern(PREFIX, highest)
        others = {byte ^ 1, byte ^ 0x80, byte - 1, 0, 0xFF, *map(ord, "-]^\\")}
        sizes = {other << 8 * power | highest & ~(0xFF << 8 * power) for other in others}
        for size in {highest - 1, highest, highest + 1, *sizes}:
            found = pattern.fullmatch(mark + size.to_bytes(4, "big"))
            assert (found is not None) == (4 <= size <= highest), (highest, size)


@given(highest=st.sampled_from(BORDERS) | st.integers(4, MAX_DATA_SIZE + 4))
@example(highest=0x043B7C00)  # has a byte that means "or"
def test_patterns_hold_no_part_that_matches_in_a_slower_way(highest: int) -> None:
    """A class for any byte, or for one, costs a third of the speed; so does each part more."""
    source = header_pattern(PREFIX, highest).pattern
    assert re.escape(bytes([0x00])) + b"-" + re.escape(bytes([0xFF])) not in source
    assert not re.search(rb"\[(.)-\1\]", source, re.DOTALL)
    # Below and above the range of a byte each is split once; the first byte is never split.
    assert re.sub(rb"\\.", b"", source, flags=re.DOTALL).count(b"|") <= 6


def test_patterns_are_compiled_once() -> None:
    assert header_pattern(77, 1000) is header_pattern(77, 1000)
