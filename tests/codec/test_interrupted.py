"""An exception that strikes inside the framer, as one out of a signal handler does."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.helpers.intrusion import interrupt, intruding
from vfiipc.codec import Framer, Message, encode

pytestmark = pytest.mark.long

PREFIX = 0x004E4659
LIMIT = 3 << 20
MODULES = ["framer.py", "large.py", "backlog.py"]

SMALL = [Message(number, bytes([number]) * number) for number in range(1, 6)]
LARGE = Message(7, bytes(range(256)) * 40)
HUGE = Message(8, bytes(range(256)) * 8192)  # gathered in a buffer of its own


def encoded(messages: list[Message]) -> bytes:
    return b"".join(encode(PREFIX, *message) for message in messages)


def cut(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


STREAMS: dict[str, tuple[list[bytes], list[Message]]] = {
    "small": (cut(encoded(SMALL), 7), SMALL),
    "garbage": (cut(b"garbage" + encoded(SMALL[:2]) + b"more" + encoded(SMALL[2:]), 9), SMALL),
    "large": (cut(encoded([SMALL[0], LARGE, SMALL[1]]), 3000), [SMALL[0], LARGE, SMALL[1]]),
    "pieces": (cut(encoded([LARGE, SMALL[0]]), 35), [LARGE, SMALL[0]]),
    "huge": (cut(encoded([HUGE, SMALL[0]]), 700_000), [HUGE, SMALL[0]]),
}


def fed(framer: Framer, data: bytes) -> None:
    """Feeds what a call that was interrupted has not taken."""
    before = framer.received
    while framer.received == before:
        with suppress(KeyboardInterrupt):
            framer.receive_data(data)


def one_by_one(framer: Framer, got: list[Message]) -> None:
    """As a transport does: one C call brings a message from the framer to where it is kept."""
    while True:
        more: list[Message] = []
        try:
            more.extend(filter(None, map(Framer.next_message, (framer,))))
        except KeyboardInterrupt:
            continue
        finally:
            got += more
        if not more:
            return


def all_at_once(framer: Framer, got: list[Message]) -> None:
    while True:
        with suppress(KeyboardInterrupt):
            framer.drain(got)
            return


def fed_first(framer: Framer, chunks: list[bytes], take: Callable[..., None]) -> list[Message]:
    """All is fed before any of it is asked for, so that a backlog is needed."""
    got: list[Message] = []
    for chunk in chunks:
        fed(framer, chunk)
    take(framer, got)
    return got


def in_turn(framer: Framer, chunks: list[bytes], take: Callable[..., None]) -> list[Message]:
    got: list[Message] = []
    for chunk in chunks:
        fed(framer, chunk)
        take(framer, got)
    return got


@pytest.mark.parametrize("take", [one_by_one, all_at_once])
@pytest.mark.parametrize("how", [in_turn, fed_first])
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_lost_or_doubled_at_any_step(
    module: str, stream: str, how: Callable[..., list[Message]], take: Callable[..., None]
) -> None:
    chunks, expected = STREAMS[stream]
    struck = 0
    steps = itertools.count() if stream != "pieces" else itertools.count(0, 101)
    for step in steps:
        framer = Framer(PREFIX, LIMIT)
        with intruding(module, step, interrupt) as happened:
            got = how(framer, chunks, take)
        assert got == expected, f"struck at step {step}"
        taken = sum(len(encode(PREFIX, *message)) for message in got)
        assert (framer.pending, framer.discarded) == (0, sum(map(len, chunks)) - taken)
        if not happened:
            break
        struck += 1
    if module == "framer.py":
        assert struck > 5
