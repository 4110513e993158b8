"""The exceptions of a strict framer."""

from __future__ import annotations

__all__ = ["FramingError", "SyncLostError"]


class FramingError(Exception):
    """The byte stream violates the framing of ``spec/framing.md``."""


class SyncLostError(FramingError):
    """A strict framer found bytes that are not a header where one should have begun.

    Args:
        position: in the stream, in bytes, of the first byte that should have been a header.
        found: the bytes found there, as far as they had arrived: at most prefix and size.
        expected: what should have been there, in words.
    """

    def __init__(self, position: int, found: bytes, expected: str) -> None:
        super().__init__(position, found, expected)
        self.position = position
        self.found = found
        self.expected = expected

    def __str__(self) -> str:
        return (
            f"synchronisation lost at byte {self.position}: "
            f"found {self.found.hex(' ')}, expected {self.expected}"
        )
