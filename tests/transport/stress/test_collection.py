"""Objects in reference cycles, collected at any moment: also where their peer holds a lock."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import pytest

import vfiipc

from .base import (
    LIMIT,
    PATIENCE_MSEC,
    PREFIX,
    TRANSPORTS,
    Listening,
    Loop,
    Tally,
    chance,
    pair_of,
    run,
    until,
)

SECONDS = 0.3


class Cycle:
    """Garbage that only the collector can find."""

    def __init__(self, *kept: object) -> None:
        self.kept = kept
        self.itself = self


def collected(transport: str, threshold: str) -> None:
    """One end is collected while the other one reads and writes."""
    tally, moment = Tally(SECONDS), chance("collected", transport, threshold)
    if threshold != "default":
        gc.set_threshold(*map(int, threshold.split(",")))
    near, far = pair_of(transport)
    reading = Loop(lambda: far.read_msg(PREFIX, LIMIT, 5))
    while tally.going():
        first, second = pair_of(transport)
        if moment.choice([True, False]):
            first.strict = True
        Cycle(first, [Cycle(number) for number in range(10)])
        del first
        print(f"round {tally.rounds}", flush=True)
        for number in range(30):
            second.write_msg(PREFIX, number, b"x" * number, 0)
            second.read_msg(PREFIX, LIMIT, 0)
            second.poll_in(0)
            near.write_msg(PREFIX, number, b"", PATIENCE_MSEC)
        second.close()
    tally.check(reading.stop(), "a reader is stuck")
    near.close()
    far.close()
    tally.report()


@pytest.mark.parametrize(
    ("transport", "threshold"),
    [
        ("loopback", "default"),
        ("loopback", "1,1,1"),
        ("loopback", "7,2,2"),
        ("tcp", "1,1,1"),
        ("tls-ssl", "1,1,1"),
        ("tls-openssl", "3,1,1"),
    ],
)
def test_an_end_is_collected_while_the_other_works(transport: str, threshold: str) -> None:
    run(collected, arguments=[transport, threshold])


def listeners() -> None:
    """Listeners and their connections are collected while others listen and connect."""
    tally = Tally(SECONDS, 5)
    gc.set_threshold(3, 1, 1)
    while tally.going():
        print(f"round {tally.rounds}", flush=True)
        for transport in ("loopback", "tcp", "pipe"):
            listener = Listening(transport)
            client = listener.connect()
            Cycle(client, listener.server, listener.server.accept(PATIENCE_MSEC))
            del client
            callbacks: Any = [lambda data, ipc: None]
            other, _ = pair = pair_of("loopback")
            other.set_callback(callbacks[0])
            Cycle(pair, callbacks)
            other.set_callback(None)
            listener.server.close()
    tally.report()


def test_listeners_are_collected() -> None:
    run(listeners)


def warned() -> None:
    """Who is collected is closed, and said so."""
    tally = Tally(SECONDS)
    tally.going()
    for transport in TRANSPORTS:
        _is_warned(tally, transport)
    tally.report()


def _is_warned(tally: Tally, transport: str) -> None:
    first, second = pair_of(transport)
    Cycle(first)
    Cycle(Listening("tcp" if transport == "setfd" else transport).server)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del first
        gc.collect()
        kind = vfiipc.TLS.__name__ if transport.startswith("tls") else ""

        def told() -> int:
            texts = [str(one.message) for one in caught if one.category is ResourceWarning]
            return sum("was not closed" in text and kind in text for text in texts)

        tally.check(until(lambda: told() >= 2), f"no ResourceWarning: {caught}")
        tally.check(second.peek(1, PATIENCE_MSEC).n in (0, -1), "the connection is open still")
    second.close()


def test_who_is_collected_is_closed() -> None:
    run(warned)
