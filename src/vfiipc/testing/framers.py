"""``check_framer``: checks any framer with the vectors and with streams from Hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import index
from typing import NamedTuple, TypeAlias

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st

from ..codec import Framer, Message, check_integer
from ..recording.annotate import Cut, Decoded, Discarded, Item
from .annotated import annotated, items_of
from .matching import elided, shown
from .strategies import Stream, chunked, streams
from .vectors import StreamVector, stream_vectors

__all__ = ["Feed", "FramerFailure", "check_framer"]

#: Takes the next chunk of a stream; returns the messages that it completes, as ``(msg_id, data)``.
Feed: TypeAlias = Callable[[bytes], Iterable[tuple[int, bytes]]]

_BYTE_BY_BYTE = 4096  # maximum size of a vector that is also fed byte by byte


class FramerFailure(AssertionError):
    """A framer breaks a rule of ``spec/framing.md``."""


def check_framer(
    factory: Callable[[int, int], Feed], *, false_headers: bool = True, max_examples: int = 100
) -> None:
    """Checks that a lenient framer finds the messages in every stream, however it is split.

    It must pass the vectors, then streams of messages with harmless garbage, then streams with
    false headers; see ``streams``. It must return a message with the chunk that completes it.

    Args:
        factory: creates a framer for a prefix and a size limit: a function that takes a chunk of
            bytes and returns the messages that it completes.
        false_headers: whether streams contain false headers. Pass False for a receiver that need
            not recover from them; vectors about them are then skipped, too.
        max_examples: the number of streams of each kind, 1 or more.

    Raises:
        FramerFailure: the framer is wrong. The message names the broken rule, and shows the
            smallest stream found that breaks it, field by field. An exception that the framer
            raised is the cause.
        TypeError, ValueError: an argument is wrong, or the function does not return pairs of an ID
            and data.
    """
    check_integer("max_examples", max_examples, 1)
    for vector in stream_vectors():
        if false_headers or "FRM-R5" not in vector.rules:
            _check_vector(factory, vector)
    for kind in (False, True) if false_headers else (False,):
        _check_streams(factory, kind, max_examples)


def _check_vector(factory: Callable[[int, int], Feed], vector: StreamVector) -> None:
    ways = [[vector.data], vector.chunks or []]
    if len(vector.data) <= _BYTE_BY_BYTE:
        ways.append([vector.data[at : at + 1] for at in range(len(vector.data))])
    origin = f"vector {vector.id}: {vector.title} ({', '.join(vector.rules) or 'no rule'})"
    for chunks in filter(None, ways):
        _check(factory, vector.prefix, vector.size_limit, chunks, origin)


def _check_streams(
    factory: Callable[[int, int], Feed], false_headers: bool, max_examples: int
) -> None:
    # The default settings would add Hypothesis's own notes to the message.
    @settings(
        max_examples=max_examples,
        deadline=None,
        database=None,
        verbosity=Verbosity.quiet,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(stream=streams(false_headers=false_headers), data=st.data())
    def test(stream: Stream, data: st.DataObject) -> None:
        chunks = data.draw(chunked(stream.data))
        _check(factory, stream.prefix, stream.size_limit, chunks, "a stream from Hypothesis")

    test()


def _check(
    factory: Callable[[int, int], Feed],
    prefix: int,
    size_limit: int,
    chunks: list[bytes],
    origin: str,
) -> None:
    fault = _fault(factory, prefix, size_limit, chunks)
    if fault is None:
        return
    broken = f"{fault.rule} is broken: {fault.text}"
    whole = [b"".join(chunks)]
    if len(chunks) > 1 and _fault(factory, prefix, size_limit, whole) is None:
        broken = f"FRM-C1 is broken: right for the whole stream, but not in chunks: {fault.text}"
    lines = [broken, f"  in {origin}", f"  prefix {prefix:#010x}, size limit {size_limit}"]
    lines += [f"  {line}" for line in annotated(prefix, size_limit, chunks)]
    raise FramerFailure("\n".join(lines)) from fault.cause


class _Fault(NamedTuple):
    rule: str
    text: str
    cause: Exception | None = None


def _fault(
    factory: Callable[[int, int], Feed], prefix: int, size_limit: int, chunks: list[bytes]
) -> _Fault | None:
    """The fault of the framer on this stream, at the first chunk that it gets wrong; or None."""
    reference = Framer(prefix, size_limit)
    feed = factory(prefix, size_limit)
    fed = b""
    for chunk in chunks:
        fed += chunk
        reference.receive_data(chunk)
        expected = list(_drained(reference))
        try:
            returned = feed(chunk)
            found = list(returned) if isinstance(returned, Iterator) else returned
        except Exception as error:  # noqa: BLE001  (a framer may raise anything)
            text = f"{type(error).__name__} after {len(fed)} bytes: {error}"
            return _Fault("FRM-C4", text, error)
        messages = _messages(found)
        if messages != expected:
            return _explained(prefix, size_limit, fed, expected, messages)
    return None


def _messages(returned: Iterable[tuple[int, bytes]]) -> list[Message]:
    try:
        return [Message(index(msg_id), bytes(memoryview(data))) for msg_id, data in returned]
    except (TypeError, ValueError):
        raise TypeError(
            "the function that takes a chunk must return an iterable of (msg_id, data), "
            f"not {elided(repr(returned))}"
        ) from None


def _drained(framer: Framer) -> Iterator[Message]:
    while messages := framer.drain():
        yield from messages


def _explained(
    prefix: int, size_limit: int, fed: bytes, expected: list[Message], found: list[Message]
) -> _Fault:
    pairs = enumerate(zip(expected, found))
    at = next((i for i, (a, b) in pairs if a != b), min(len(expected), len(found)))
    wanted = shown(expected[at]) if at < len(expected) else "no message"
    came = shown(found[at]) if at < len(found) else "no message"
    if at < len(found) and len(found[at].data) > size_limit:
        rule = "FRM-R5"
    else:
        rule = _rule_at(list(items_of(prefix, size_limit, fed)), len(expected) - at)
    return _Fault(rule, f"after {len(fed)} bytes, expected {wanted}; got {came}")


def _rule_at(items: list[Item], from_end: int) -> str:
    """The rule that decides which message is delivered at a place in the stream.

    Args:
        items: the decoded stream.
        from_end: the place: the number of messages from there to the end.
    """
    decoded = [at for at, item in enumerate(items) if isinstance(item, Decoded)]
    at = decoded[-from_end] if from_end else len(items)
    before = items[at - 1] if at else None
    if isinstance(before, Discarded):
        return "FRM-R5" if before.false_headers else "FRM-R2"
    if isinstance(before, Cut):
        return "FRM-R6"
    return "FRM-R7"
