r"""Patterns of the allow list: ``*`` is any run of characters, ``\`` takes the next one literally.

No regular expression: an ID that a client chooses must not cost more than its length times that of
the pattern.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Pattern"]

_ESCAPE: Final = "\\"
_WILDCARD: Final = "*"


class Pattern:
    r"""What an ID has to look like; case sensitive (NFY-A3).

    Raises:
        ValueError: a ``\`` at the end, which takes nothing literally.
    """

    __slots__ = ("_first", "_last", "_middle", "_shortest", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        parts = _literals(text)
        self._first = parts[0]
        #: The text after the last ``*``; None for a pattern without one.
        self._last = parts[-1] if len(parts) > 1 else None
        self._middle = [part for part in parts[1:-1] if part]
        self._shortest = sum(map(len, parts))

    def __repr__(self) -> str:
        return f"Pattern({self._text!r})"

    def __str__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def matches(self, text: str) -> bool:
        """Whether the whole text fits."""
        if self._last is None:
            return text == self._first
        if len(text) < self._shortest or not text.startswith(self._first):
            return False
        if not text.endswith(self._last):
            return False
        at = len(self._first)
        stop = len(text) - len(self._last)
        # The earliest place for each part leaves the most room for the parts after it.
        for part in self._middle:
            at = text.find(part, at, stop)
            if at < 0:
                return False
            at += len(part)
        return True


def _literals(text: str) -> list[str]:
    """The runs of literal characters between the wildcards."""
    parts: list[list[str]] = [[]]
    characters = iter(text)
    for character in characters:
        if character == _WILDCARD:
            parts.append([])
            continue
        if character == _ESCAPE:
            character = next(characters, "")
            if not character:
                raise ValueError(r"no character follows the \ at the end")
        parts[-1].append(character)
    return ["".join(part) for part in parts]
