"""What a framer raises, and only in strict mode."""

from __future__ import annotations

__all__ = ["FramingError", "SyncLostError"]


class FramingError(Exception):
    """The byte stream does not keep to the framing of ``spec/framing.md``."""


class SyncLostError(FramingError):
    """A strict framer found something that is no header where a header should have started.

    Args:
        position: offset in the stream, in bytes from its beginning, of the first byte that should
            have been part of a header.
        found: the bytes found there, as far as they had arrived, never more than prefix and size.
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
