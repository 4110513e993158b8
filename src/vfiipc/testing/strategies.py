"""Hypothesis strategies for message framing, to test message handlers and framers.

Needs the extra ``testing`` (in a clone: ``pip install '.[testing]'``). This tests a framer:

    @given(stream=streams(), data=st.data())
    def test_my_framer(stream, data):
        mine = MyFramer(stream.prefix, stream.size_limit)
        for chunk in data.draw(chunked(stream.data)):
            mine.feed(chunk)
        assert mine.messages == stream.messages

The strategies prefer inputs that break receivers: prefixes that overlap themselves, data full of
prefixes and parts of headers, false headers before real ones, sizes next to each limit, and streams
that end inside a message.

Rules and terms are those of ``spec/framing.md``; widths and byte order come from the declared
header. Thread safe, because nothing here has state.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ..codec import (
    HEADER,
    HEADER_SIZE,
    MAX_DATA_SIZE,
    MSG_ID,
    MSG_ID_SIZE,
    PREFIX,
    PREFIX_AND_SIZE,
    SIZE,
    Message,
    encode,
)

__all__ = [
    "Stream",
    "chunked",
    "garbage",
    "messages",
    "msg_ids",
    "prefixes",
    "streams",
]

#: The default size limit of the strategies. It is small, so that sizes near it occur.
_SIZE_LIMIT = 64
#: The largest size limit for which messages of exactly that size are drawn.
_EXACT = 1024


class Stream(NamedTuple):
    """The bytes of one direction, and the messages that a lenient receiver must deliver.

    Args:
        prefix: the receiver's prefix.
        size_limit: the receiver's limit, in bytes of data.
        data: the bytes.
        messages: the messages that must be delivered, in order.
        discarded: the number of bytes that must have been dropped after all messages were taken.
        pending: the number of bytes that must then still be held.
    """

    prefix: int
    size_limit: int
    data: bytes
    messages: list[Message]
    discarded: int
    pending: int


def prefixes() -> SearchStrategy[int]:
    """Prefixes: any number, the ends of the range, and self-overlapping ones."""
    byte = st.integers(0x00, 0xFF)
    pattern = st.lists(byte, min_size=1, max_size=PREFIX.packer.size - 1).map(_repeated)
    any_mark = st.binary(min_size=PREFIX.packer.size, max_size=PREFIX.packer.size)
    ends = st.sampled_from([b"\x00" * PREFIX.packer.size, b"\xff" * PREFIX.packer.size])
    return st.one_of(pattern, any_mark, ends).map(lambda mark: int(HEADER.prefix.parse(mark)))


def _repeated(pattern: list[int]) -> bytes:
    return bytes(pattern * PREFIX.packer.size)[: PREFIX.packer.size]


def msg_ids() -> SearchStrategy[int]:
    """Message IDs of the whole range, including its ends."""
    lowest, highest = MSG_ID.lowest, MSG_ID.highest
    return st.one_of(st.integers(lowest, highest), st.sampled_from([lowest, -1, 0, 1, highest]))


def messages(prefix: int | None = None, *, max_size: int = _SIZE_LIMIT) -> SearchStrategy[Message]:
    """Messages with any ID and any data.

    Args:
        prefix: if given, some data consists of this prefix and parts of headers with it.
        max_size: maximum data size of a message, in bytes, 0..2**31-5.
    """
    data: SearchStrategy[bytes] = st.binary(max_size=max_size)
    if prefix is not None:
        data |= st.lists(_pieces(), max_size=6).map(
            lambda pieces: _joined(pieces, prefix, max_size)[:max_size]
        )
    return st.builds(Message, msg_ids(), data)


def garbage(
    prefix: int, *, size_limit: int = _SIZE_LIMIT, false_headers: bool = False
) -> SearchStrategy[bytes]:
    """Garbage between messages.

    Args:
        prefix: the receiver's prefix.
        size_limit: the receiver's limit, which decides whether it accepts a header in the garbage.
        false_headers: whether the garbage may contain or begin a header that the receiver accepts,
            which then swallows the following bytes. If False, a message after the garbage always
            arrives: prefixes with bad sizes still occur, but not false headers.
    """
    joined = st.lists(_pieces(), max_size=5).map(lambda pieces: _joined(pieces, prefix, size_limit))
    return joined if false_headers else joined.map(lambda some: _defused(prefix, size_limit, some))


def streams(
    prefix: int | None = None,
    size_limit: int | None = None,
    *,
    false_headers: bool = True,
    max_parts: int = 8,
) -> SearchStrategy[Stream]:
    """Streams of messages and garbage, with the messages that a receiver must deliver.

    Args:
        prefix: the receiver's prefix; by default, any.
        size_limit: the receiver's limit, in bytes of data; by default, a small one.
        false_headers: whether streams may contain anything between and instead of messages:
            prefixes with bad sizes, false headers that a receiver must accept, messages above the
            limit. The expected messages are computed by a slow receiver that follows the rules. If
            False, streams consist of messages and harmless garbage, and all messages must arrive
            (FRM-C3); use this for a receiver that need not recover from false headers.
        max_parts: maximum number of parts, each a message or garbage.
    """
    parameters = st.tuples(
        prefixes() if prefix is None else st.just(prefix),
        st.integers(0, _SIZE_LIMIT) if size_limit is None else st.just(size_limit),
    )
    build = _any_stream if false_headers else _sent_stream
    return parameters.flatmap(lambda drawn: build(*drawn, max_parts))


def chunked(data: bytes) -> SearchStrategy[list[bytes]]:
    """Ways to split ``data``: not at all, byte by byte, or anywhere. Chunks may be empty.

    The joined chunks always equal ``data``.
    """
    stops = st.lists(st.integers(0, len(data)), max_size=12).map(sorted)
    return st.one_of(
        stops.map(lambda inner: [data[a:b] for a, b in pairwise([0, *inner, len(data)])]),
        st.just([data[at : at + 1] for at in range(len(data))]),
    )


def _mark(prefix: int) -> bytes:
    return PREFIX.packer.pack(prefix)


# --- parts of streams, drawn without prefix and limit, so that each strategy is created once ------

_Size = Callable[[int], int]  # from the size limit
_Piece = Callable[[int, int], bytes]  # from the prefix and the size limit


def _joined(pieces: list[_Piece], prefix: int, size_limit: int) -> bytes:
    return b"".join(piece(prefix, size_limit) for piece in pieces)


def _size(fixed: int, limits: int = 0) -> _Size:
    return lambda size_limit: max(0, min(fixed + limits * size_limit, SIZE.highest))


@cache
def _refused() -> SearchStrategy[_Size]:
    """Values of the size field that are one too small or one too large."""
    return st.sampled_from([_size(MSG_ID_SIZE - 1), _size(MSG_ID_SIZE + 1, limits=1)])


@cache
def _sizes() -> SearchStrategy[_Size]:
    """Values of the size field: valid or not, and next to each bound."""
    bounds = [
        (0, 0),
        (MSG_ID_SIZE, 0),
        (MSG_ID_SIZE, 1),
        (MSG_ID_SIZE + MAX_DATA_SIZE, 0),
        (SIZE.highest, 0),
    ]
    near = [_size(fixed + step, limits) for fixed, limits in bounds for step in (-1, 0, 1)]
    any_size = st.integers(0, SIZE.highest)
    return st.one_of(
        _refused(),
        st.sampled_from(near),
        any_size.map(lambda number: lambda size_limit: number % (MSG_ID_SIZE + size_limit + 2)),
        any_size.map(_size),
    )


def _header(size: _Size, msg_id: int, stop: int = HEADER_SIZE) -> _Piece:
    def piece(prefix: int, size_limit: int) -> bytes:
        header = HEADER.build({"prefix": prefix, "size": size(size_limit), "msg_id": msg_id})
        return bytes(header[:stop])

    return piece


@cache
def _cut_headers() -> SearchStrategy[_Piece]:
    """Beginnings of headers. Before a message, they break receivers that drop several bytes."""
    stops = st.integers(1, PREFIX.packer.size - 1) | st.integers(1, PREFIX_AND_SIZE - 1)
    return st.builds(_header, _sizes(), msg_ids(), stops)


@cache
def _pieces() -> SearchStrategy[_Piece]:
    """Bytes that make the search hard: prefixes and parts of them, headers, and noise."""
    return st.one_of(
        st.binary(max_size=12).map(lambda noise: lambda prefix, _: noise),
        st.just(lambda prefix, _: _mark(prefix)),
        st.integers(1, PREFIX.packer.size).map(lambda stop: lambda prefix, _: _mark(prefix)[:stop]),
        st.integers(1, PREFIX.packer.size).map(
            lambda start: lambda prefix, _: _mark(prefix)[start:]
        ),
        st.builds(_header, _sizes(), msg_ids()),
        _cut_headers(),
    )


def _message(msg_id: int, pieces: list[_Piece], size: int | None) -> _Piece:
    """A message whose data is the pieces, cut or padded to the limit plus ``size``, if given."""

    def piece(prefix: int, size_limit: int) -> bytes:
        data = _joined(pieces, prefix, size_limit)
        if size is not None and size_limit <= _EXACT:
            data = (data + bytes(size_limit + size))[: size_limit + size]
        return encode(prefix, msg_id, data)

    return piece


@cache
def _parts() -> SearchStrategy[list[_Piece]]:
    """Messages, including ones above the limit, and pieces between and instead of messages."""
    # A message above the limit is refused, and its data is searched for headers.
    data = st.lists(_pieces(), max_size=6)
    message = st.builds(_message, msg_ids(), data, st.sampled_from([None, 0, 1]))
    return st.one_of(
        message.map(lambda piece: [piece]),
        st.tuples(_cut_headers(), message).map(list),
        st.builds(_header, _refused(), msg_ids()).map(lambda piece: [piece]),
        st.lists(_pieces(), max_size=5),
    )


# --- the expected result --------------------------------------------------------------------------


def _begins(prefix: int, size_limit: int, data: bytes, at: int) -> bool:
    """Whether a header that a receiver accepts, or may still accept, begins at ``at``."""
    judged = data[at : at + PREFIX_AND_SIZE]
    if len(judged) < PREFIX_AND_SIZE:
        return _mark(prefix).startswith(judged[: PREFIX.packer.size])
    size = HEADER.size.parse(judged[PREFIX.packer.size :])
    return judged.startswith(_mark(prefix)) and MSG_ID_SIZE <= size <= MSG_ID_SIZE + size_limit


def _defused(prefix: int, size_limit: int, data: bytes) -> bytes:
    """Removes bytes until no false header begins in ``data``, even with what may follow it."""
    at = 0
    while at < len(data):
        if _begins(prefix, size_limit, data, at):
            data = data[:at] + data[at + 1 :]
            at = max(0, at - PREFIX_AND_SIZE)  # the bytes before it have new neighbours
        else:
            at += 1
    return data


def _received(prefix: int, size_limit: int, data: bytes) -> Stream:
    """Receives the whole stream by applying FRM-R2 to FRM-R7 at each byte."""
    found: list[Message] = []
    at = discarded = 0
    while at < len(data):
        if not _begins(prefix, size_limit, data, at):
            at, discarded = at + 1, discarded + 1
            continue
        header = data[at : at + HEADER_SIZE]
        if len(header) < HEADER_SIZE:
            break
        fields = HEADER.parse(header)
        stop = at + PREFIX_AND_SIZE + fields.size
        if stop > len(data):
            break
        found.append(Message(fields.msg_id, data[at + HEADER_SIZE : stop]))
        at = stop
    return Stream(prefix, size_limit, data, found, discarded, len(data) - at)


@st.composite
def _sent_stream(draw: DrawFn, prefix: int, size_limit: int, max_parts: int) -> Stream:
    sent: list[Message] = []
    parts: list[bytes] = []
    discarded = 0
    message = messages(prefix, max_size=size_limit)
    for harmless in draw(st.lists(st.booleans(), max_size=max_parts)):
        if harmless:
            parts.append(draw(garbage(prefix, size_limit=size_limit)))
            discarded += len(parts[-1])
        else:
            sent.append(draw(message))
            parts.append(encode(prefix, *sent[-1]))
    last = encode(prefix, *draw(message))
    cut_off = draw(st.one_of(st.just(0), st.integers(0, len(last) - 1)))
    parts.append(last[:cut_off])
    return Stream(prefix, size_limit, b"".join(parts), sent, discarded, cut_off)


@st.composite
def _any_stream(draw: DrawFn, prefix: int, size_limit: int, max_parts: int) -> Stream:
    parts = draw(st.lists(_parts(), min_size=min(1, max_parts), max_size=max_parts))
    data = b"".join(_joined(part, prefix, size_limit) for part in parts)
    cut_off = draw(st.one_of(st.just(0), st.integers(0, min(len(data), HEADER_SIZE))))
    return _received(prefix, size_limit, data[: len(data) - cut_off])
