"""Hypothesis strategies for the framing: fuzz your own message handler, or your own framer.

Needs the extra ``testing`` (in a clone: ``pip install '.[testing]'``). A test of a framer in one
line of strategy and three of test::

    @given(stream=streams(), data=st.data())
    def test_my_framer(stream, data):
        mine = MyFramer(stream.prefix, stream.size_limit)
        for chunk in data.draw(chunked(stream.data)):
            mine.feed(chunk)
        assert mine.messages == stream.messages

The strategies prefer what breaks receivers: prefixes that overlap themselves, data full of
prefixes and pieces of headers, sizes next to every limit, streams that end inside a message.
Rules and terms are those of ``spec/framing.md``; widths and byte order come from the declared
header. Thread safe: nothing here has state.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from .codec import HEADER, MAX_DATA_SIZE, Message, encode, encode_header

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import DrawFn, SearchStrategy
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "vfiipc.testing needs hypothesis; in a clone: pip install '.[testing]'", name=error.name
    ) from error

__all__ = [
    "Stream",
    "chunked",
    "garbage",
    "messages",
    "msg_ids",
    "prefixes",
    "streams",
]

_PREFIX_SIZE: int = HEADER.prefix.sizeof()
_SIZE_SIZE: int = HEADER.size.sizeof()
_JUDGED_SIZE = _PREFIX_SIZE + _SIZE_SIZE
_HEADER_SIZE: int = HEADER.sizeof()
#: What the size field counts besides the data.
_COUNTED = _HEADER_SIZE - _JUDGED_SIZE

#: The size limit where a strategy is given none: small, so that sizes near it occur.
_SIZE_LIMIT = 64


class Stream(NamedTuple):
    """The bytes of one direction, and what a lenient receiver must make of them.

    Args:
        prefix: the receiver's prefix.
        size_limit: the receiver's limit, in bytes of data.
        data: the bytes.
        messages: what must be delivered, in order.
        discarded: how many bytes must be dropped once everything has arrived and been asked for.
        pending: how many bytes must then still be held.
    """

    prefix: int
    size_limit: int
    data: bytes
    messages: list[Message]
    discarded: int
    pending: int


def prefixes() -> SearchStrategy[int]:
    """Prefixes of every kind: any number, the ends of the range, and self-overlapping ones."""
    byte = st.integers(0x00, 0xFF)
    pattern = st.lists(byte, min_size=1, max_size=_PREFIX_SIZE).map(_repeated)
    any_mark = st.binary(min_size=_PREFIX_SIZE, max_size=_PREFIX_SIZE)
    ends = st.sampled_from([b"\x00" * _PREFIX_SIZE, b"\xff" * _PREFIX_SIZE])
    return st.one_of(pattern, any_mark, ends).map(lambda mark: int(HEADER.prefix.parse(mark)))


def _repeated(pattern: list[int]) -> bytes:
    return bytes(pattern * _PREFIX_SIZE)[:_PREFIX_SIZE]


def msg_ids() -> SearchStrategy[int]:
    """Message IDs over their whole range, its ends included."""
    count = 256 ** int(HEADER.msg_id.sizeof())
    signed = HEADER.msg_id.parse(b"\xff" * HEADER.msg_id.sizeof()) < 0
    lowest = -count // 2 if signed else 0
    highest = lowest + count - 1
    return st.one_of(st.integers(lowest, highest), st.sampled_from([lowest, -1, 0, 1, highest]))


def messages(prefix: int | None = None, *, max_size: int = _SIZE_LIMIT) -> SearchStrategy[Message]:
    """Messages with any ID and any data.

    Args:
        prefix: where given, some data are made of this prefix and of pieces of headers with it.
        max_size: the most bytes of data, 0..2**31-5.
    """
    data: SearchStrategy[bytes] = st.binary(max_size=max_size)
    if prefix is not None:
        pieces = st.lists(_pieces(prefix, max_size), max_size=6).map(b"".join)
        data = st.one_of(data, pieces.map(lambda joined: joined[:max_size]))
    return st.builds(Message, msg_ids(), data)


def garbage(
    prefix: int, *, size_limit: int = _SIZE_LIMIT, false_headers: bool = False
) -> SearchStrategy[bytes]:
    """Bytes for between messages.

    Args:
        prefix: the receiver's prefix.
        size_limit: the receiver's limit: it decides which header in the garbage is a false one.
        false_headers: whether the garbage may hold or begin a header that the receiver accepts,
            and so swallow what follows. Without, whatever message follows must arrive: prefixes
            with bad sizes still occur, but no false header, and no tail that could become one.
    """
    joined = st.lists(_pieces(prefix, size_limit), max_size=5).map(b"".join)
    return joined if false_headers else joined.map(lambda some: _defused(prefix, size_limit, some))


def streams(
    prefix: int | None = None,
    size_limit: int | None = None,
    *,
    false_headers: bool = False,
    max_parts: int = 8,
) -> SearchStrategy[Stream]:
    """Streams of messages and garbage, with what a receiver must make of them.

    Args:
        prefix: the receiver's prefix; any, where none is given.
        size_limit: the receiver's limit in bytes of data; some small one, where none is given.
        false_headers: without, the stream is messages with harmless garbage between them, and
            everything that was sent must arrive (C3). With, anything goes: false headers, messages
            above the limit, sizes of every kind; what must come out is then worked out by a slow
            reading of the whole stream, rule by rule.
        max_parts: the most messages and pieces of garbage.
    """
    parameters = st.tuples(
        prefixes() if prefix is None else st.just(prefix),
        st.integers(0, _SIZE_LIMIT) if size_limit is None else st.just(size_limit),
    )
    build = _any_stream if false_headers else _sent_stream
    return parameters.flatmap(lambda drawn: build(*drawn, max_parts))


def chunked(data: bytes) -> SearchStrategy[list[bytes]]:
    """Ways in which ``data`` may arrive: whole, byte by byte, or cut anywhere, also into nothing.

    The chunks joined are always ``data``.
    """
    stops = st.lists(st.integers(0, len(data)), max_size=12).map(sorted)
    return st.one_of(
        stops.map(lambda inner: [data[a:b] for a, b in pairwise([0, *inner, len(data)])]),
        st.just([data[at : at + 1] for at in range(len(data))]),
    )


def _mark(prefix: int) -> bytes:
    return encode_header(prefix, 0, 0)[:_PREFIX_SIZE]


def _sizes(size_limit: int) -> SearchStrategy[int]:
    """Values of the size field: acceptable or not, and next to every border."""
    highest = 256**_SIZE_SIZE - 1
    borders = [0, _COUNTED, _COUNTED + size_limit, _COUNTED + MAX_DATA_SIZE, highest]
    near = {border + step for border in borders for step in (-1, 0, 1)}
    return st.one_of(
        st.sampled_from(sorted(size for size in near if 0 <= size <= highest)),
        st.integers(0, _COUNTED + size_limit + 1),
        st.integers(0, highest),
    )


def _pieces(prefix: int, size_limit: int) -> SearchStrategy[bytes]:
    """What troubles a search: marks and their beginnings, headers of every kind, and noise."""
    mark = _mark(prefix)
    header = st.builds(
        lambda size, msg_id: mark + HEADER.size.build(size) + HEADER.msg_id.build(msg_id),
        _sizes(size_limit),
        msg_ids(),
    )
    return st.one_of(
        st.binary(max_size=12),
        st.just(mark),
        st.integers(1, _PREFIX_SIZE).map(lambda stop: mark[:stop]),
        st.integers(1, _PREFIX_SIZE).map(lambda start: mark[start:]),
        header,
        st.tuples(header, st.integers(1, _HEADER_SIZE)).map(lambda cut: cut[0][: cut[1]]),
    )


def _begins(prefix: int, size_limit: int, data: bytes, at: int) -> bool:
    """Whether at ``at`` stands a header that a receiver accepts, or what may still become one."""
    judged = data[at : at + _JUDGED_SIZE]
    if len(judged) < _JUDGED_SIZE:
        return _mark(prefix).startswith(judged[:_PREFIX_SIZE])
    size = HEADER.size.parse(judged[_PREFIX_SIZE:])
    return judged.startswith(_mark(prefix)) and _COUNTED <= size <= _COUNTED + size_limit


def _defused(prefix: int, size_limit: int, data: bytes) -> bytes:
    """``data`` with a byte taken out wherever a false header begins, or could with what follows."""
    at = 0
    while at < len(data):
        if _begins(prefix, size_limit, data, at):
            data = data[:at] + data[at + 1 :]
            at = max(0, at - _JUDGED_SIZE)  # bytes before it have got new neighbours
        else:
            at += 1
    return data


def _received(prefix: int, size_limit: int, data: bytes) -> Stream:
    """What a receiver makes of the whole stream, read slowly: rules R2 to R7 at every byte."""
    found: list[Message] = []
    at = discarded = 0
    while at < len(data):
        if not _begins(prefix, size_limit, data, at):
            at, discarded = at + 1, discarded + 1
            continue
        header = data[at : at + _HEADER_SIZE]
        if len(header) < _HEADER_SIZE:
            break
        fields = HEADER.parse(header)
        stop = at + _JUDGED_SIZE + fields.size
        if stop > len(data):
            break
        found.append(Message(fields.msg_id, data[at + _HEADER_SIZE : stop]))
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
    # Beyond the limit too: a message that is refused has its data searched for headers.
    message = messages(prefix, max_size=size_limit + _HEADER_SIZE)
    part = st.one_of(
        message.map(lambda sent: encode(prefix, *sent)),
        garbage(prefix, size_limit=size_limit, false_headers=True),
    )
    data = b"".join(draw(st.lists(part, max_size=max_parts)))
    cut_off = draw(st.one_of(st.just(0), st.integers(0, min(len(data), _HEADER_SIZE))))
    return _received(prefix, size_limit, data[: len(data) - cut_off])
