"""The parameters of the peer, and the messages and garbage that match them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ..codec import MSG_ID, MSG_ID_SIZE, PREFIX, SIZE, Message, encode, encode_header

__all__ = ["LARGEST", "Setting"]

#: Maximum data size of the messages that the kit sends, in bytes.
LARGEST: Final = 16 << 20

#: Garbage repeats after this many bytes, because generating megabytes of it takes long.
_BLOCK: Final = 1 << 16
#: Five different bytes, of which at least one is not in a given prefix of four bytes.
_STRAYS: Final = (0xFF, 0xFE, 0xFD, 0xFC, 0xFB)
# These IDs read the same in either byte order. A peer with the wrong byte order then fails only the
# cases about IDs.
_EVERY_BYTE: Final = 0x01010101
_IDS: Final = 127
_CONTROL: Final = Message(0x43434343, b"control")
_FIRST: Final = Message(0x41414141, b"first message")
_SECOND: Final = Message(0x42424242, b"second")
_LAST: Final = Message(0x5A5A5A5A, b"the last message")


@dataclass(frozen=True)
class Setting:
    """Prefix, limit and mode of the peer's receiver, and the seed of random choices.

    Attributes:
        prefix: the synchronisation mark, 0..2**32-1.
        limit: maximum data size of a message, in bytes, 0..2**31-5.
        strict: whether the peer is expected to be strict; an examination can detect it.
        seed: the seed of random choices.
    """

    prefix: int
    limit: int
    strict: bool = False
    seed: int = 0

    @cached_property
    def mark(self) -> bytes:
        """The prefix as bytes of the stream."""
        return PREFIX.packer.pack(self.prefix)

    @property
    def most(self) -> int:
        """Maximum data size, in bytes, of the valid messages that the kit sends."""
        return min(self.limit, LARGEST)

    @cached_property
    def stray(self) -> bytes:
        """A byte that does not occur in the prefix."""
        return bytes([next(value for value in _STRAYS if value not in self.mark)])

    @property
    def control(self) -> Message:
        return self._fitting(_CONTROL)

    @property
    def first(self) -> Message:
        return self._fitting(_FIRST)

    @property
    def second(self) -> Message:
        return self._fitting(_SECOND)

    @property
    def last(self) -> Message:
        return self._fitting(_LAST)

    def _fitting(self, message: Message) -> Message:
        return Message(message.msg_id, message.data[: self.limit])

    @property
    def names(self) -> dict[Message, str]:
        """The names in reports of the messages that occur in many cases."""
        return {self.control: "control", self.first: "A", self.second: "B", self.last: "Z"}

    @property
    def prefix_as_id(self) -> int:
        return int(MSG_ID.packer.unpack(self.mark)[0])

    @staticmethod
    def numbered(number: int, data: bytes) -> Message:
        """A message with an ID that differs from those of the 126 messages before it."""
        return Message(_EVERY_BYTE * (1 + number % _IDS), data)

    def encoded(self, *messages: Message) -> bytes:
        return b"".join(encode(self.prefix, *message) for message in messages)

    def header(self, data_size: int, msg_id: int = _SECOND.msg_id) -> bytes:
        """A header for ``data_size`` bytes of data, which may be an invalid size."""
        whole = encode_header(self.prefix, msg_id, 0)
        size = SIZE.packer.pack(data_size + MSG_ID_SIZE)
        return whole[: SIZE.offset] + size + whole[SIZE.offset + len(size) :]

    def judged(self, size: int) -> bytes:
        """The prefix and a size field, which may be invalid."""
        return self.mark + SIZE.packer.pack(size)

    def random(self, purpose: str) -> random.Random:
        """Random choices that are the same in every run with this seed."""
        return random.Random(f"{self.seed} {purpose}")

    def garbage(self, size: int) -> bytes:
        """Bytes that contain parts of the prefix in many places, but never all of it."""
        choose = self.random("garbage")
        other = bytes.maketrans(self.mark, self.stray * len(self.mark))
        pieces: list[bytes] = []
        length = 0
        while length < min(size, _BLOCK):
            noise = choose.randbytes(choose.randrange(60)).translate(other)
            pieces.append(noise + self.mark[: choose.randrange(len(self.mark))] + self.stray)
            length += len(pieces[-1])
        block = b"".join(pieces) or self.stray
        # The last byte is not part of a prefix, so that the receiver holds no bytes at the end.
        return (block * (size // len(block) + 1))[: max(size - 1, 0)] + self.stray[:size]
