"""A stream that always has more: a reader of it heeds its deadline, and the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from vfiipc.transport.byte_stream import ByteStream
from vfiipc.transport.deadline import Deadline
from vfiipc.transport.message_stream import MessageStream

from .suite.base import LIMIT, PREFIX, Aside, until

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Endless(ByteStream):
    """Bytes that are never a message, faster than anybody reads them."""

    def receiving(self, limits: Iterable[int]) -> Iterator[bytes]:
        return map(self.peek, limits)

    def peek(self, limit: int) -> bytes:
        return bytes(min(limit, 64))

    def send(self, buffers: Sequence[Buffer]) -> int:
        raise NotImplementedError

    def wait(self, event: int, timeout: float | None) -> None:
        assert self.lifetime.ended, "there is always something to receive"

    def close(self) -> None:
        pass


READS: dict[str, Callable[[MessageStream, float], object]] = {
    "read_msg": lambda messages, msec: messages.read_msg(PREFIX, LIMIT, False, msec),
    "read": lambda messages, msec: len(messages.read(1 << 40, Deadline(msec), msec)) > 0,
}


@pytest.fixture
def messages() -> MessageStream:
    stream = MessageStream()
    assert stream.open(Endless(stream.lifetime))
    return stream


@pytest.mark.parametrize("name", READS)
def test_the_deadline_ends_a_read(messages: MessageStream, name: str) -> None:  # IPC-T5
    READS[name](messages, 20)
    assert messages.framer.received


@pytest.mark.parametrize("name", READS)
def test_the_end_ends_a_read(messages: MessageStream, name: str) -> None:  # IPC-Z1
    reading = Aside(READS[name], messages, -1)
    until(lambda: messages.framer.received)
    messages.lifetime.end()
    reading.result()
    assert not messages.error
