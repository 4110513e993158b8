"""Relays live traffic between two programs: shows, holds and inserts messages."""

from __future__ import annotations

import argparse
import threading
import time
from collections import deque

from ... import IPC
from ...codec import Message, encode
from ...recording import Decoded, Item
from .. import arguments, links
from ..failures import Failure
from ..prefix_finder import Framing
from ..relay import Direction, Pair
from ..view import Way
from .entries import DROPPED, HELD, SENT, Entry
from .entry_queue import Feed
from .gate import Gate, Piece
from .holding import Holding

__all__ = ["Live"]


class Live:
    """Relays each connection; ``serve`` is a handler for ``Serving``.

    Args:
        parsed: the arguments: target, time-out, prefix, limit and the options of TLS.
        feed: receives the entries to show.
        holding: decides what is held.
    """

    def __init__(self, parsed: argparse.Namespace, feed: Feed, holding: Holding) -> None:
        self._parsed = parsed
        self._feed = feed
        self._holding = holding
        self._framing = Framing(parsed.prefix, parsed.limit)
        self._lock = threading.Lock()
        self._flows: dict[tuple[int, bool], _LiveFlow] = {}

    @property
    def prefix(self) -> int:
        """The prefix of all messages; the default until it is detected."""
        prefix = self._framing.prefix
        return arguments.DEFAULT_PREFIX if prefix is None else prefix

    def serve(self, client: IPC, number: int) -> None:
        """Connects to the target and relays everything."""
        way = Way(number, client.remote_addr() or "client", links.shown(self._parsed.target))
        try:
            target = links.dial(self._parsed.target, self._parsed.timeout, self._parsed)
        except Failure as failure:
            self._tell(way, f"closed: {failure}")
            return
        with target:
            self._tell(way, f"{way.sender} > {way.receiver}  connected")
            there = Direction(client, target, way)
            back = Direction(target, client, way.reversed())
            pair = Pair(there, back)
            flows = (self._flow(pair, there), self._flow(pair, back))
            try:
                said = pair.run(*flows)
            finally:
                with self._lock:
                    del self._flows[number, True], self._flows[number, False]
            self._tell(way, said)

    def send(self, way: Way, message: Message) -> bool:
        """Sends a message of the user's, in one direction of a connection.

        It goes between two messages, so it may wait for the end of one. It blocks where the peer
        takes nothing.

        Returns:
            False if the connection has ended.
        """
        with self._lock:
            flow = self._flows.get((way.connection, way.from_client))
        return flow is not None and flow.put_in(message)

    def _flow(self, pair: Pair, direction: Direction) -> _LiveFlow:
        gate = Gate(self._framing.reader())
        flow = _LiveFlow(self, pair, direction, gate, self._feed, self._holding)
        with self._lock:
            self._flows[direction.way.connection, direction.way.from_client] = flow
        return flow

    def _tell(self, way: Way, said: str) -> None:
        self._feed.put(Entry(way, time.time(), None, said))


class _LiveFlow:
    """One direction of a connection."""

    def __init__(
        self,
        live: Live,
        pair: Pair,
        direction: Direction,
        gate: Gate,
        feed: Feed,
        holding: Holding,
    ) -> None:
        self._live = live
        self._pair = pair
        self._direction = direction
        self._gate = gate
        self._feed = feed
        self._holding = holding
        self._lock = threading.Lock()  # of what follows, and for writing
        self._between = True  # no message has passed in part
        self._put_in: deque[Message] = deque()

    # --- called by the pair

    def pass_on(self, data: bytes) -> str | None:
        pieces = self._gate.feed(data, holding=self._holding.chosen is not None)
        return None if all(map(self._deliver, pieces)) else ""

    def end(self) -> None:
        for piece in self._gate.finish():
            self._deliver(piece)

    def half_close(self) -> None:
        pass

    # --- called by the user

    def put_in(self, message: Message) -> bool:
        with self._lock:
            self._put_in.append(message)
            return not self._between or self._write_put_in()

    # ---

    def _deliver(self, piece: Piece) -> bool:
        entry = None
        if piece.item is not None:
            entry = self._entry(piece.item)
            if piece.whole and self._holding.wants(entry):
                return self._hold(entry)
            self._feed.put(entry)  # first: otherwise its answer could be shown before it
        return self._write(piece.data, between=piece.between)

    def _hold(self, entry: Entry) -> bool:
        entry.state = HELD
        ticket = self._holding.announce(entry)
        self._feed.put(entry)
        message = self._holding.wait(entry, ticket, lambda: self._pair.closed)
        if message is None:
            entry.state = DROPPED
            self._feed.note_change()
            return True
        return self._write(encode(entry.prefix, *message), between=True)

    def _entry(self, item: Item) -> Entry:
        return Entry(self._direction.way, time.time(), item, prefix=self._live.prefix)

    def _write(self, data: bytes, *, between: bool) -> bool:
        with self._lock:
            self._between = between
            if data and not self._direction.target.write(data):
                return False
            return not between or self._write_put_in()

    def _write_put_in(self) -> bool:
        while self._put_in:
            message = self._put_in.popleft()
            entry = self._entry(Decoded(0, message))
            entry.state = SENT
            self._feed.put(entry)
            if not self._direction.target.write(encode(entry.prefix, *message)):
                return False
        return True
