"""An exception out of a signal handler, at any moment: no turn is lost, and little else."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable

import pytest

from vfiipc import IPC
from vfiipc.codec import encode

from .base import (
    LIMIT,
    PATIENCE_MSEC,
    PREFIX,
    TRANSPORTS,
    Loop,
    Striker,
    Tally,
    chance,
    interrupt,
    is_torn,
    number_of,
    numbered,
    pair_of,
    read,
    run,
)

#: Seconds of each scenario.
SECONDS = 0.3
BUFFERED = 2000
#: As many small messages as every connection holds on its way.
WRITTEN = 100
BUFFER = bytearray(len(encode(PREFIX, 0, numbered(range(1))[0][1])))


def _read_msg(ipc: IPC, timeout: int) -> list[int]:
    message = ipc.read_msg(PREFIX, LIMIT, timeout)
    return [] if message is None else [message.msg_id]


def _read_msgs(ipc: IPC, timeout: int) -> list[int]:
    return [message.msg_id for message in ipc.read_msgs(PREFIX, LIMIT, timeout)]


def _read(ipc: IPC, timeout: int) -> list[int]:
    data = ipc.read(len(BUFFER), timeout)
    return [number_of(data)] if data else []


def _readinto(ipc: IPC, timeout: int) -> list[int]:
    return [number_of(BUFFER)] if ipc.readinto(BUFFER, timeout) else []


def _peek(ipc: IPC, timeout: int) -> list[int]:
    return _read_msg(ipc, 0) if ipc.peek(len(BUFFER), timeout).n > 0 else []


def _poll_in(ipc: IPC, timeout: int) -> list[int]:
    return _read_msg(ipc, 0) if ipc.poll_in(timeout) else []


#: One call of each reading member: the numbers that it got.
READERS: dict[str, Callable[[IPC, int], list[int]]] = {
    "read_msg": _read_msg,
    "read_msgs": _read_msgs,
    "read": _read,
    "readinto": _readinto,
    "peek": _peek,
    "poll_in": _poll_in,
}


def _write_msg(ipc: IPC, number: int, timeout: int) -> bool:
    return ipc.write_msg(PREFIX, number, b"", timeout)


def _write_msgs(ipc: IPC, number: int, timeout: int) -> bool:
    return ipc.write_msgs(PREFIX, [(number, b"")], timeout)


def _write(ipc: IPC, number: int, timeout: int) -> bool:
    return ipc.write(encode(PREFIX, number, b""), timeout)


#: One call of each writing member, for one message.
WRITERS: dict[str, Callable[[IPC, int, int], bool]] = {
    "write_msg": _write_msg,
    "write_msgs": _write_msgs,
    "write": _write,
}


class Pairs:
    """The same pair again and again, until it is dropped."""

    def __init__(self, transport: str) -> None:
        self._transport = transport
        self._pair: tuple[IPC, IPC] | None = None

    def get(self) -> tuple[IPC, IPC]:
        if self._pair is None:
            self._pair = pair_of(self._transport)
        return self._pair

    def drop(self) -> None:
        for ipc in self._pair or ():
            ipc.close()
        self._pair = None


# --- readers


def readers_of_much(transport: str) -> None:
    """The reader is interrupted while 2,000 messages wait to be read."""
    tally, moment, pairs = Tally(SECONDS), chance("much", transport), Pairs(transport)
    striker = Striker(interrupt)
    for name in itertools.cycle(READERS):
        if not tally.going():
            break
        first, second = pairs.get()
        assert second.write_msgs(PREFIX, numbered(range(BUFFERED)), PATIENCE_MSEC)
        got: list[int] = []

        def work(name: str = name, first: IPC = first, got: list[int] = got) -> None:
            got.extend(READERS[name](first, PATIENCE_MSEC))
            if got and got[-1] == BUFFERED - 1:
                striker.armed = False

        striker.strike(work, moment.uniform(1e-5, 4e-3))
        if got[-1:] != [BUFFERED - 1] and not _goes_on(tally, name, first, second, got):
            pairs.drop()
    tally.report()


def _goes_on(tally: Tally, name: str, first: IPC, second: IPC, got: list[int]) -> bool:
    """Whether the next call works, and at most one message of those that were there is lost."""
    assert second.write_msg(PREFIX, BUFFERED, b"%08d" % BUFFERED, PATIENCE_MSEC)
    while got[-1:] != [BUFFERED]:
        message = read(first)
        if message is None:
            tally.check(is_torn(first), f"{name}: nothing can be read, {first.last_error!r}")
            return False
        got.append(message.msg_id)
    lost = sorted(set(range(BUFFERED)).difference(got))
    # What one call was about to return.
    in_one_piece = lost == list(range(*(lost[0], lost[-1] + 1))) if lost else True
    in_order = got == sorted(set(got))
    return (
        tally.check(not first.error(), f"{name}: {first.last_error!r}")
        & tally.check(in_order, f"{name}: not in order, or twice")
        & tally.check(in_one_piece and (len(lost) <= 1 or name == "read_msgs"), f"{name}: {lost}")
    )


def readers_of_nothing(transport: str) -> None:
    """The reader is interrupted while it waits, or finds nothing; then something comes."""
    tally, moment, pairs = Tally(SECONDS), chance("nothing", transport), Pairs(transport)
    striker = Striker(interrupt)
    for number, name in enumerate(itertools.cycle(READERS)):
        if not tally.going():
            break
        first, second = pairs.get()
        timeout = moment.choice([0, 0, 0, 1])

        def work(name: str = name, first: IPC = first, timeout: int = timeout) -> None:
            READERS[name](first, timeout)

        striker.strike(work, moment.uniform(1e-5, 2e-3 if timeout else 3e-4))
        assert second.write_msg(PREFIX, number, b"", PATIENCE_MSEC)
        message = read(first)
        good = message == (number, b"") or is_torn(first)
        tally.check(good, f"{name}: {message}, {first.last_error!r}")
        if first.error():
            pairs.drop()
    tally.report()


def two_readers(transport: str) -> None:
    """Another thread reads, too, in turns with this one, whose interruption it survives."""
    tally, moment, striker = Tally(SECONDS, 3), chance("two", transport), Striker(interrupt)
    sys.setswitchinterval(1e-5)
    names = itertools.cycle(READERS)
    while tally.going():
        first, second = pair_of(transport)
        writing = Loop(lambda: second.write_msgs(PREFIX, numbered(range(9)), PATIENCE_MSEC))  # noqa: B023
        reading = Loop(lambda: first.read_msg(PREFIX, LIMIT, 5))  # noqa: B023
        for name in itertools.islice(names, 20):

            def work(name: str = name, first: IPC = first) -> None:
                READERS[name](first, 1)

            striker.strike(work, moment.uniform(1e-5, 2e-3))
            good = reading.goes_on() or is_torn(first)
            if not tally.check(good, f"{name}: the other reader gets nothing") or first.error():
                break
        first.close()
        second.close()
        tally.check(reading.stop() and writing.stop(), "a call does not end with close()")
    tally.report()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_readers(transport: str) -> None:  # IPC-H6
    run(readers_of_much, readers_of_nothing, two_readers, arguments=[transport])


# --- writers


def writers(transport: str) -> None:
    """The writer is interrupted; the peer gets what was written, whole and in order."""
    tally, moment, pairs = Tally(SECONDS), chance("writers", transport), Pairs(transport)
    striker = Striker(interrupt)
    for name in itertools.cycle(WRITERS):
        if not tally.going():
            break
        first, second = pairs.get()
        begun: list[int] = []

        def work(name: str = name, first: IPC = first, begun: list[int] = begun) -> None:
            begun.append(len(begun))
            WRITERS[name](first, begun[-1], PATIENCE_MSEC)
            striker.armed = len(begun) < WRITTEN

        striker.strike(work, moment.uniform(1e-5, 8e-4))
        if not _all_came(tally, name, first, second, len(begun)):
            pairs.drop()
    tally.report()


def _all_came(tally: Tally, name: str, first: IPC, second: IPC, begun: int) -> bool:
    """Whether the next call works; where one cannot follow, the connection is broken and done."""
    last = first.write_msg(PREFIX, begun, b"", PATIENCE_MSEC)
    broken = first.error()
    tally.check(last is not broken, f"{name}: nothing can be written, {first.last_error!r}")
    if not last:
        first.close()
    got: list[int] = []
    while got[-1:] != [begun] and (message := read(second)) is not None:
        got.append(message.msg_id)
    # The one that was interrupted may have been written, or not.
    whole = [*range(begun - 1), *([begun - 1] if begun - 1 in got else []), begun]
    tally.check(got == whole[: len(got)], f"{name}: not in order, twice, or lost: {got[-9:]}")
    tally.check(len(got) >= begun - 1, f"{name}: {len(got)} of {begun} have come")
    return last


def two_writers(transport: str) -> None:
    """Another thread writes, too, in turns with this one, whose interruption it survives."""
    tally, moment, striker = Tally(SECONDS, 3), chance("two writers", transport), Striker(interrupt)
    sys.setswitchinterval(1e-5)
    names, broken = itertools.cycle(WRITERS), False
    while tally.going():
        first, second = pair_of(transport)
        reading = Loop(lambda: second.read_msg(PREFIX, LIMIT, 5))  # noqa: B023
        writing = Loop(lambda: _write_msg(first, 1, PATIENCE_MSEC))  # noqa: B023
        for name in itertools.islice(names, 20):

            def work(name: str = name, first: IPC = first) -> None:
                WRITERS[name](first, 2, 1)

            striker.strike(work, moment.uniform(1e-5, 2e-3))
            broken = first.error()  # a message was begun, or may have been
            if broken or not tally.check(writing.goes_on(), f"{name}: the other writer is stuck"):
                break
        if not broken:
            tally.check(_write_msg(first, 3, PATIENCE_MSEC), "nothing can be written")
        first.close()
        second.close()
        tally.check(reading.stop() and writing.stop(), "a call does not end with close()")
    tally.report()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_writers(transport: str) -> None:  # IPC-H6
    run(writers, two_writers, arguments=[transport])
