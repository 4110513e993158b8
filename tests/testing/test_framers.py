"""``check_framer``: a right framer passes, and each wrong one is told which rule it breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import pytest

import vfiipc.testing.framers
from tests.spec.vectors import all_cases
from vfiipc.codec import HEADER, Framer, Message, encode, encode_header
from vfiipc.testing import Feed, FramerFailure, check_framer
from vfiipc.testing.annotated import annotated
from vfiipc.testing.vectors import stream_vectors


def right(prefix: int, size_limit: int) -> Feed:
    framer = Framer(prefix, size_limit)

    def feed(chunk: bytes) -> list[Message]:
        framer.receive_data(chunk)
        found: list[Message] = []
        while messages := framer.drain():
            found += messages
        return found

    return feed


class Plain:
    """A framer with mistakes to choose from."""

    def __init__(
        self, prefix: int, size_limit: int, step: int = 1, least: int = 4, above: int = 0
    ) -> None:
        self._mark = encode_header(prefix, 0, 0)[:4]
        self._most = size_limit + 4 + above
        self._step, self._least = step, least
        self._held = b""

    def __call__(self, chunk: bytes) -> list[tuple[int, bytes]]:
        self._held += chunk
        found = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> tuple[int, bytes] | None:
        while (at := self._held.find(self._mark)) >= 0:
            self._held = self._held[at:]
            if len(self._held) < 8:
                return None
            size = HEADER.size.parse(self._held[4:8])
            if not self._least <= size <= self._most:
                self._held = self._held[self._step :]
                continue
            if len(self._held) < max(8 + size, 12):
                return None
            msg_id, data = HEADER.msg_id.parse(self._held[8:12]), self._held[12 : 8 + size]
            self._held = self._held[8 + size :]
            return msg_id, data
        return None


class Impatient(Plain):
    """Gives up what is not complete within a chunk."""

    def __call__(self, chunk: bytes) -> list[tuple[int, bytes]]:
        found = super().__call__(chunk)
        self._held = b""
        return found


class Late(Plain):
    """Returns a message when the next chunk arrives."""

    _found: Sequence[tuple[int, bytes]] = ()

    def __call__(self, chunk: bytes) -> list[tuple[int, bytes]]:
        found, self._found = self._found, super().__call__(chunk)
        return list(found)


def crashing(prefix: int, size_limit: int) -> Feed:
    def feed(chunk: bytes) -> NoReturn:
        raise OverflowError("too much")

    return feed


@pytest.mark.long
@pytest.mark.parametrize("framer", [right, Plain])
def test_a_right_framer_passes(framer: Callable[[int, int], Feed]) -> None:
    check_framer(framer, max_examples=30)


WRONG: dict[str, tuple[Callable[[int, int], Feed], str]] = {
    "drops four bytes": (lambda p, n: Plain(p, n, step=4), "FRM-R5 is broken"),
    "believes small sizes": (lambda p, n: Plain(p, n, least=3), "FRM-R5 is broken"),
    "limit off by one": (lambda p, n: Plain(p, n, above=1), "FRM-R5 is broken"),
    "keeps nothing between chunks": (Impatient, "FRM-C1 is broken: right for the whole stream"),
    "late": (Late, "FRM-R7 is broken"),
    "crashes": (crashing, "FRM-C4 is broken: OverflowError"),
}


@pytest.mark.parametrize(("framer", "rule"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_framer_is_found(framer: Callable[[int, int], Feed], rule: str) -> None:
    first, origin, framing, chunks, *lines = failure_of(framer)
    assert rule in first
    assert origin.startswith("  in vector ")
    assert framing.startswith("  prefix 0x")
    assert " bytes" in chunks
    assert lines or chunks == "  0 bytes in one chunk"


def failure_of(framer: Callable[[int, int], Feed]) -> list[str]:
    with pytest.raises(FramerFailure) as raised:
        check_framer(framer)
    return str(raised.value).splitlines()


def test_the_exception_of_a_framer_is_the_cause() -> None:
    with pytest.raises(FramerFailure) as raised:
        check_framer(crashing)
    assert isinstance(raised.value.__cause__, OverflowError)


@pytest.mark.parametrize(
    "returned", [None, 5, [b"ab"], [1], b"abc", [(1, "text")], [("1", b"")], [(1, b"", 2)]]
)
def test_what_is_not_a_list_of_messages_is_not_blamed_on_the_framer(returned: Any) -> None:
    with pytest.raises(TypeError, match=r"must return an iterable of \(msg_id, data\), not "):
        check_framer(lambda _p, _n: lambda chunk: returned if chunk else [])


@pytest.mark.parametrize("kind", [iter, tuple])
def test_messages_of_any_kind_are_taken(kind: Callable[[list[Any]], Any]) -> None:
    def factory(prefix: int, size_limit: int) -> Feed:
        feed = right(prefix, size_limit)
        return lambda chunk: kind([(i, bytearray(data)) for i, data in feed(chunk)])

    check_framer(factory, max_examples=1)


def test_the_number_of_examples_is_checked() -> None:
    with pytest.raises(ValueError, match="max_examples is 0, but must be 1 or more"):
        check_framer(right, max_examples=0)


@pytest.mark.long
def test_hypothesis_finds_what_no_vector_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vfiipc.testing.framers, "stream_vectors", lambda: ())
    first, origin, *lines = failure_of(Impatient)
    assert "FRM-C1 is broken: right for the whole stream, but not in chunks: after " in first
    assert origin == "  in a stream from Hypothesis"
    assert 4 < len(lines) < 30


def test_the_stream_is_annotated_field_by_field() -> None:
    stream = b"\xff" + encode(0xA1B2C3D4, -7, b"ab") + encode_header(0xA1B2C3D4, 1, 9)[:9]
    assert annotated(0xA1B2C3D4, 100, [stream[:3], stream[3:]]) == [
        "24 bytes in 2 chunks, split at 3",
        "     0  ff                        discarded: no prefix",
        "     1  a1 b2 c3 d4               prefix 0xa1b2c3d4",
        "     5  00 00 00 06               size 6",
        "     9  ff ff ff f9               msg_id -7",
        "    13  61 62                     data",
        "    15  a1 b2 c3 d4               prefix 0xa1b2c3d4",
        "    19  00 00 00 0d               size 13",
        "    23  00                        cut off within the header: 9 of 12 bytes",
    ]


def test_without_false_headers_a_framer_need_not_recover() -> None:
    check_framer(lambda p, n: Plain(p, n), false_headers=False, max_examples=20)
    with pytest.raises(FramerFailure):
        check_framer(Impatient, false_headers=False)


def test_all_vectors_are_run() -> None:
    wanted = [case["id"] for case in all_cases() if case["kind"] == "decode" and not case["strict"]]
    assert sorted(vector.id for vector in stream_vectors()) == sorted(wanted)
    assert len(wanted) > 100
