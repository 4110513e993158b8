"""The prefix of messages: given, detected, or suggested if no message is recognised."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from ..codec import HEADER_SIZE
from ..recording import Annotator, Decoded, Guess, Item, guess_prefixes
from . import arguments
from .streams import note

__all__ = ["Framing", "Reader", "nothing_found", "tell_guesses"]

_SAMPLE: Final = 64 << 10  # bytes of a stream that are searched for a prefix to suggest
_HELD: Final = 1 << 20  # bytes of a stream that are held until its prefix is detected
_SMALL: Final = 4096  # a sample up to this size is searched after every piece
_TLS: Final = b"\x16\x03"


class Framing:
    """The prefix and limit shared by all streams of one command. Thread safe.

    Args:
        prefix: the prefix of all messages; None to detect it.
        limit: maximum data size of a message, in bytes.
        found: called with the prefix once it is detected.

    ``prefix`` is None until it is detected.
    """

    def __init__(
        self, prefix: int | None, limit: int, found: Callable[[int], object] | None = None
    ) -> None:
        self.prefix = prefix
        self.limit = limit
        self._found = found
        self._suggested = False
        self._lock = threading.Lock()

    def reader(self, position: int = 0) -> Reader:
        """A decoder for one direction of one connection, from ``position`` on."""
        return Reader(self, position)

    def settle(self, data: bytes, *, last: bool) -> int | None:
        """The prefix, if it is known or can be detected in ``data``; otherwise None.

        Args:
            data: the stream so far.
            last: whether to use the default prefix if none is detected.
        """
        guesses = guess_prefixes([data], self.limit) if self.prefix is None else []
        with self._lock:
            if self.prefix is None and (guesses and _is_convincing(guesses[0])):
                tell_guesses(guesses)
                self.prefix = guesses[0].prefix
                if self._found is not None:
                    self._found(self.prefix)
        if self.prefix is None and last:
            return arguments.DEFAULT_PREFIX
        return self.prefix

    def suggest_prefix(self, sample: bytes, count: int) -> bool:
        """Prints a suggestion, a prefix or TLS, for a stream without messages; once per command.

        Args:
            sample: the beginning of the stream.
            count: the number of bytes received.

        Returns:
            True if there is no suggestion yet: call again with more of the stream.
        """
        if self._suggested:
            return False
        suggestion = _suggestion(sample, self.limit, self.prefix)
        if not suggestion:
            return True
        with self._lock:
            first, self._suggested = not self._suggested, True
        if first:
            note(f"received {count:,} bytes, no message; {suggestion}")
        return False


class Reader:
    """Decodes one direction of a connection, like an ``Annotator``. Not thread safe."""

    def __init__(self, framing: Framing, position: int) -> None:
        self._framing = framing
        self._position = position
        self._annotator: Annotator | None = None
        if framing.prefix is not None:
            self._annotator = Annotator(framing.prefix, framing.limit, position)
        self._sample = bytearray()  # bytes received before the first message
        self._count = 0
        self._looked = 0  # size of the sample when it was last searched
        self._wants_suggestion = True

    @property
    def pending(self) -> int:
        """Bytes that may be the beginning of a message."""
        return len(self._sample) if self._annotator is None else self._annotator.pending

    def feed(self, data: bytes) -> Iterator[Item]:
        """Yields the items that the next bytes complete."""
        annotator = self._annotator
        if annotator is None:
            self._sample += data
            self._count += len(data)
            annotator = self._settled(last=len(self._sample) >= _HELD)
            if annotator is None:
                return
            data = bytes(self._sample)
        elif self._wants_suggestion:
            self._sample += data[: _SAMPLE - len(self._sample)]
            self._count += len(data)
        yield from self._watched(annotator.feed(data))
        if self._wants_suggestion and annotator.pending < HEADER_SIZE:
            self._suggest(last=False)

    def gap(self, count: int) -> Iterator[Item]:
        """Handles a gap of ``count`` bytes in the recording."""
        yield from self._feed_held()
        if self._annotator is not None:
            yield from self._annotator.gap(count)

    def finish(self) -> Iterator[Item]:
        """Yields the last items at the end of the stream."""
        yield from self._feed_held()
        if self._wants_suggestion:
            self._suggest(last=True)
        if self._annotator is not None:
            yield from self._annotator.finish()

    def _feed_held(self) -> Iterator[Item]:
        if self._annotator is None:
            annotator = self._settled(last=True)
            if annotator is not None:
                yield from self._watched(annotator.feed(bytes(self._sample)))

    def _settled(self, *, last: bool) -> Annotator | None:
        if last or self._framing.prefix is not None or self._is_due():
            prefix = self._framing.settle(bytes(self._sample), last=last)
            if prefix is not None:
                self._annotator = Annotator(prefix, self._framing.limit, self._position)
        return self._annotator

    def _watched(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            if isinstance(item, Decoded) and self._wants_suggestion:
                self._forget()
            yield item

    def _suggest(self, *, last: bool) -> None:
        if last or self._is_due():
            sample = bytes(self._sample)
            if not self._framing.suggest_prefix(sample, self._count):
                self._forget()

    def _forget(self) -> None:
        self._wants_suggestion = False
        self._sample.clear()
        self._count = 0

    def _is_due(self) -> bool:
        """Whether to search the sample again: doubling keeps the total work linear."""
        size = len(self._sample)
        due = size > self._looked if size <= _SMALL else size >= 2 * self._looked
        if due:
            self._looked = size
        return due


def _is_convincing(guess: Guess) -> bool:
    # A single message is enough if there is nothing else: its sender may wait for the answer.
    return guess.confidence != "possible" or guess.share >= 0.5


def _suggestion(sample: bytes, limit: int, given: int | None) -> str:
    guesses = guess_prefixes([sample], limit)
    if guesses and guesses[0].prefix != given:
        found = arguments.show_prefix(guesses[0].prefix)
        return f"the peer may use prefix {found}: try --prefix {found}"
    return "this looks like TLS: try a tls:// address" if _is_tls(sample) else ""


def _is_tls(data: bytes) -> bool:
    return data[: len(_TLS)] == _TLS


# --- in what is read as a whole -------------------------------------------------------------------


def tell_guesses(guesses: list[Guess]) -> None:
    """Prints the detected prefix, its confidence, and the alternatives."""
    best, *rest = guesses
    # Ignore what looks like messages within the messages of the best guess.
    others = [g for g in rest if g.confidence != "possible" and g.share + best.share < 1.01]
    note(
        f"prefix {arguments.show_prefix(best.prefix)}: {best.confidence}, "
        f"messages: {best.messages:,}, {best.share:.0%} of the bytes"
    )
    if others:
        shown = ", ".join(arguments.show_prefix(guess.prefix) for guess in others[:3])
        note(f"also found: {shown}; choose with --prefix")


def nothing_found(path: str, streams: Iterable[bytes], early: str) -> str:
    """The message if no prefix was found.

    Args:
        path: the input, as given by the user.
        streams: the bytes that were searched.
        early: why the input ended early; empty if it did not.
    """
    pieces = list(streams)
    size = sum(map(len, pieces))
    if not size:
        return f"{path}: {early or 'the input is empty'}"
    said = f"{path}: no prefix found in {size:,} bytes"
    if early:
        said += f" before the input failed ({early})"
    said += "; set it with --prefix, or a higher limit with --limit"
    if any(map(_is_tls, pieces)):
        said += ". This looks like TLS, which cannot be decoded"
    return said
