"""Hypothesis finds the faults of a framer, and shows the smallest stream that proves them.

``NaiveFramer`` makes a common mistake: it trusts the size, and expects the prefix to be in place.
Replace it with your own framer. Requires ``pip install '.[testing]'`` in a clone.

Run ``python examples/fuzz_a_framer.py``; it prints::

    Framer: no stream breaks it
    NaiveFramer: wrong after garbage
"""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from vfiipc.codec import HEADER, Framer, Message
from vfiipc.testing import Stream, chunked, streams


class NaiveFramer:
    """Assumes that its buffer always begins with a header."""

    def __init__(self, prefix: int, size_limit: int) -> None:
        self._buffer = b""

    def receive_data(self, data: bytes) -> None:
        self._buffer += data

    def drain(self) -> list[Message]:
        messages = []
        while len(self._buffer) >= HEADER.sizeof():
            header = HEADER.parse(self._buffer)
            stop = 8 + header.size
            if len(self._buffer) < stop:
                break
            messages.append(Message(header.msg_id, self._buffer[HEADER.sizeof() : stop]))
            self._buffer = self._buffer[stop:]
        return messages


# Without Phase.explain, which would take ten seconds here.
PHASES = (Phase.generate, Phase.shrink)


def check(framer_class: Any) -> str:
    @settings(database=None, derandomize=True, phases=PHASES)
    @given(stream=streams(), data=st.data())
    def any_stream_in_any_pieces(stream: Stream, data: st.DataObject) -> None:
        framer = framer_class(stream.prefix, stream.size_limit)
        received = []
        for chunk in data.draw(chunked(stream.data)):
            framer.receive_data(chunk)
            received += framer.drain()
        assert received == stream.messages, f"{stream.data!r} gave {received}"

    try:
        any_stream_in_any_pieces()
    except AssertionError:
        return "wrong after garbage"
    return "no stream breaks it"


if __name__ == "__main__":
    print("Framer:", check(Framer))
    print("NaiveFramer:", check(NaiveFramer))
