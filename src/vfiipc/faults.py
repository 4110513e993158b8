"""Faults in how a byte stream is sent: in pieces, late, damaged, cut off, reset.

Pure: no I/O, no clock, no threads. A ``Delivery`` describes the faults of one direction. A
``Planner`` turns a stream into actions: what to send, when to wait and how to end. The owner of the
connection carries them out:

    planner = Planner(Delivery(pieces=3, pause=0.1, cut_after=7, ending="reset"))
    for action in planner.feed(encode(prefix, msg_id, data)):
        match action:
            case Send(data): sock.sendall(data)
            case Wait(seconds): time.sleep(seconds)
            case End(ending): ...

Offsets count the bytes that the sender sent; ``garbage`` is not among them. What is sent, the
pieces included, does not depend on how the stream was divided into chunks, as long as each piece
has a size. Work is linear in the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final, Literal, NamedTuple, get_args

from .codec import check_integer

__all__ = ["Action", "Delivery", "End", "Ending", "Planner", "Send", "Wait", "check_seconds"]

#: How a stream ends: like a connection that the peer closes, like one that it resets, or not at
#: all, with the connection left open and silent.
Ending = Literal["close", "reset", "silence"]

_LONGEST: Final = 1e9  # seconds; what sleeps longer is not supported everywhere


def check_seconds(name: str, value: float) -> float:
    """Checks an argument that is a time in seconds, and returns it.

    Raises:
        TypeError: it is not a number.
        ValueError: it is negative, not a number, or longer than anything waits.
    """
    if not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not 0 <= value <= _LONGEST:
        raise ValueError(f"{name} is {value}, but must be in 0..{_LONGEST:,.0f} seconds")
    return value


@dataclass(frozen=True)
class Delivery:
    """How the bytes of one direction arrive.

    Args:
        pieces: the maximum size of each arrival, either one number for all, or several that apply
            one after another. After the last, or with None, there is no limit.
        cut_after: the stream ends after this many bytes, as soon as they have been sent; None:
            never.
        damage: offsets in the stream, and the bits (1..255) that are flipped there.
        delay: seconds from sending to arrival, 0..1e9.
        garbage: bytes that arrive before all others. They do not count for the offsets.
        pause: seconds between one piece and the next, 0..1e9.
        ending: how the stream ends, after the cut or when the sender closes.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: a value is out of its range.
    """

    pieces: int | Iterable[int] | None = None
    cut_after: int | None = None
    damage: Mapping[int, int] = field(default_factory=dict)
    delay: float = 0.0
    garbage: bytes = field(default=b"", kw_only=True)
    pause: float = field(default=0.0, kw_only=True)
    ending: Ending = field(default="close", kw_only=True)

    def __post_init__(self) -> None:
        if self.pieces is not None and not isinstance(self.pieces, Iterable):
            check_integer("pieces", self.pieces, 1)
        if self.cut_after is not None:
            check_integer("cut_after", self.cut_after, 0)
        for name in ("delay", "pause"):
            check_seconds(name, getattr(self, name))
        for offset, bits in _items(self.damage):
            check_integer("an offset of damage", offset, 0)
            check_integer(f"damage at offset {offset}", bits, 1, 0xFF)
        if self.ending not in get_args(Ending):
            allowed = ", ".join(map(repr, get_args(Ending)))
            raise ValueError(f"ending is {self.ending!r}, but must be one of {allowed}")

    def sizes(self) -> Iterator[int]:
        """The maximum sizes of the pieces, in turn; there is no limit after the last."""
        if self.pieces is None:
            return iter(())
        return repeat(self.pieces) if isinstance(self.pieces, int) else iter(self.pieces)

    def arriving(self, start: int, data: bytes) -> tuple[bytes, bool]:
        """What arrives of ``data``, and whether the stream ends after it.

        Args:
            start: the offset of ``data`` in the stream.
            data: what was sent.
        """
        cut = self.cut_after is not None and bool(data) and start + len(data) >= self.cut_after
        if cut and self.cut_after is not None:
            data = data[: max(0, self.cut_after - start)]
        return self._damaged(start, data), cut

    def _damaged(self, start: int, data: bytes) -> bytes:
        # The shorter of the two is walked through, so that no chunking makes this quadratic.
        if len(self.damage) < len(data):
            hit = [offset for offset in self.damage if start <= offset < start + len(data)]
        else:
            hit = [offset for offset in range(start, start + len(data)) if offset in self.damage]
        if not hit:
            return data
        damaged = bytearray(data)
        for offset in hit:
            damaged[offset - start] ^= self.damage[offset]
        return bytes(damaged)


def _items(damage: Mapping[int, int]) -> Iterable[tuple[int, int]]:
    try:
        return damage.items()
    except AttributeError:
        kind = type(damage).__name__
        raise TypeError(f"damage must be a mapping such as {{0: 0x80}}, not {kind}") from None


class Send(NamedTuple):
    """Send these bytes, at once and together."""

    data: bytes


class Wait(NamedTuple):
    """Wait for this many seconds."""

    seconds: float


class End(NamedTuple):
    """End the stream as ``ending`` says; nothing follows."""

    ending: Ending


Action = Send | Wait | End


class Planner:
    """Plans how one stream is sent. Not thread safe.

    ``feed`` and ``finish`` return the next actions; carry out all of them before the next call. The
    delay precedes the bytes of each call.

    Args:
        delivery: the faults of the stream.
    """

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._sizes = delivery.sizes()
        self._garbage = delivery.garbage  # until it has been sent
        self._offset = 0
        self._left = 0  # bytes of the piece that has been begun
        self._begun = False
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether the stream has ended; further bytes are dropped."""
        return self._ended

    def feed(self, chunk: bytes) -> Iterator[Action]:
        """What to do with ``chunk``, the next bytes of the stream."""
        if self._ended:
            return iter(())
        data, self._ended = self._delivery.arriving(self._offset, chunk)
        self._offset += len(chunk)
        return self._plan(data, self._ended)

    def finish(self) -> Iterator[Action]:
        """What to do when the sender closes."""
        if self._ended:
            return iter(())
        self._ended = True
        return self._plan(b"", ends=True)

    def _plan(self, data: bytes, ends: bool) -> Iterator[Action]:
        data, self._garbage = self._garbage + data, b""
        if data and self._delivery.delay:
            yield Wait(self._delivery.delay)
        at = 0
        while at < len(data):
            if not self._left:
                yield from self._begin_piece(len(data) - at)
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            yield Send(piece)
        if ends:
            yield End(self._delivery.ending)

    def _begin_piece(self, available: int) -> Iterator[Action]:
        if self._begun and self._delivery.pause:
            yield Wait(self._delivery.pause)
        self._begun = True
        self._left = max(0, next(self._sizes, 0)) or available
