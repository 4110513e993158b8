"""What holds for every stream: FRM-C1 to FRM-C6, and what the codec promises besides."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import pytest
from construct import ConstructError
from hypothesis import given
from hypothesis import strategies as st

from tests.codec.model import HEADER_SIZE, PREFIX_AND_SIZE, Model
from vfiipc.codec import (
    HEADER,
    MAX_DATA_SIZE,
    MESSAGE,
    Framer,
    Message,
    SyncLostError,
    encode,
    encode_header,
    encode_many,
)
from vfiipc.testing import Stream, chunked, garbage, messages, msg_ids, prefixes, streams

PREFIX = 0xA1B2C3D4
ANY_STREAM = streams() | streams(false_headers=False)


def one_by_one(framer: Framer) -> list[Message]:
    return list(iter(framer.next_message, None))


ASK: list[Callable[[Framer], list[Message]]] = [Framer.drain, one_by_one]
ASKING = st.sampled_from(ASK)


# Chunks


@given(stream=ANY_STREAM, ask=ASKING, data=st.data())
def test_chunking_never_matters(
    stream: Stream, ask: Callable[[Framer], list[Message]], data: st.DataObject
) -> None:
    framer = Framer(stream.prefix, stream.size_limit)
    delivered = []
    for chunk in data.draw(chunked(stream.data)):
        framer.receive_data(chunk)
        if data.draw(st.booleans()):
            delivered += ask(framer)
    delivered += ask(framer)
    assert delivered == stream.messages
    assert (framer.discarded, framer.pending) == (stream.discarded, stream.pending)


@given(stream=ANY_STREAM, data=st.data())
def test_bytes_are_conserved_at_every_moment(stream: Stream, data: st.DataObject) -> None:
    framer = Framer(stream.prefix, stream.size_limit)
    arrived = given_out = 0
    for chunk in data.draw(chunked(stream.data)):
        framer.receive_data(chunk)
        arrived += len(chunk)
        given_out += len(framer.take(data.draw(st.sampled_from([0, 0, 1, 13]))))
        given_out += sum(HEADER_SIZE + len(message.data) for message in framer.drain())
        assert arrived == given_out + framer.discarded + framer.pending
        assert framer.pending < HEADER_SIZE + stream.size_limit


@given(prefix=prefixes(), data=st.data())
def test_garbage_without_false_headers_loses_no_message(prefix: int, data: st.DataObject) -> None:
    sent = data.draw(st.lists(messages(prefix, max_size=40), max_size=6))
    between = [data.draw(garbage(prefix, size_limit=40)) for _ in sent]
    framer = Framer(prefix, 40)
    pieces = [noise + encode(prefix, *message) for noise, message in zip(between, sent)]
    for chunk in data.draw(chunked(b"".join(pieces))):
        framer.receive_data(chunk)
    assert framer.drain() == sent
    assert (framer.discarded, framer.pending) == (sum(map(len, between)), 0)


@given(prefix=prefixes(), limit=st.integers(0, MAX_DATA_SIZE), chunks=st.lists(st.binary()))
def test_nothing_raises_outside_strict_mode(prefix: int, limit: int, chunks: list[bytes]) -> None:
    framer = Framer(prefix, limit)
    for chunk in chunks:
        framer.receive_data(chunk)
        framer.drain()
    assert framer.next_message() is None


@given(stream=ANY_STREAM, data=st.data())
def test_strict_faults_where_lenient_first_drops(stream: Stream, data: st.DataObject) -> None:
    model = Model(stream.prefix, stream.size_limit, strict=True)
    model.receive_data(stream.data)
    framer = Framer(stream.prefix, stream.size_limit, strict=True)
    expected, fault = until_fault(model, [b""])
    delivered, found = until_fault(framer, [*data.draw(chunked(stream.data)), b""])
    assert delivered == expected
    assert framer.discarded == 0
    if fault is None or found is None:
        assert fault is found is None
        assert stream.discarded == 0
        assert delivered == stream.messages
    else:
        assert found.position == fault.position
        assert 0 < len(found.found) <= PREFIX_AND_SIZE
        assert stream.data[found.position :].startswith(found.found)


def until_fault(
    receiver: Framer | Model, chunks: list[bytes]
) -> tuple[list[Message], SyncLostError | None]:
    delivered: list[Message] = []
    try:
        for chunk in chunks:
            receiver.receive_data(chunk)
            while more := receiver.drain():
                delivered += more
    except SyncLostError as error:
        return delivered, error
    return delivered, None


# The fast path against construct


def by_construct(data: bytes, size_limit: int) -> Message | SyncLostError | None:
    """The message at the very beginning, read with nothing but the declaration."""
    size = HEADER.size.parse(data[4:8])
    if size < HEADER.msg_id.sizeof() or size - HEADER.msg_id.sizeof() > size_limit:
        return SyncLostError(0, data[:8], "")
    try:
        message = MESSAGE.parse(data)
    except ConstructError:
        return None
    return Message(message.msg_id, message.data)


@given(
    head=st.binary(min_size=4, max_size=4),
    size=st.integers(0, 30) | st.integers(0, 2**32 - 1),
    rest=st.binary(max_size=32),
    limit=st.integers(0, 30),
)
def test_decoding_equals_construct(head: bytes, size: int, rest: bytes, limit: int) -> None:
    data = head + HEADER.size.build(size) + rest[: max(size, 4)]
    expected = by_construct(data, limit)
    for ask in ASK:
        framer = Framer(HEADER.prefix.parse(head), limit, strict=True)
        framer.receive_data(data)
        if isinstance(expected, SyncLostError):
            with pytest.raises(SyncLostError) as caught:
                ask(framer)
            assert caught.value.args[:2] == expected.args[:2]
        else:
            assert ask(framer) == ([expected] if expected else [])


ANY_NUMBER = st.integers(-(2**33), 2**33)


@given(prefix=prefixes() | ANY_NUMBER, msg_id=msg_ids() | ANY_NUMBER, data=st.binary(max_size=40))
def test_encoding_equals_construct(prefix: int, msg_id: int, data: bytes) -> None:
    fields = {"prefix": prefix, "size": 4 + len(data), "msg_id": msg_id, "data": data}
    try:
        expected = MESSAGE.build(fields)
    except ConstructError:
        calls: list[Callable[[], bytes]] = [
            lambda: encode(prefix, msg_id, data),
            lambda: encode_header(prefix, msg_id, len(data)),
            lambda: encode_many(prefix, [(msg_id, data)]),
        ]
        for call in calls:
            with pytest.raises(ValueError, match=r"^(prefix|msg_id) is -?[0-9]+, but must be in "):
                call()
    else:
        assert encode(prefix, msg_id, data) == expected
        assert encode_header(prefix, msg_id, len(data)) + data == expected
        assert encode_many(prefix, [(msg_id, data)] * 3) == expected * 3


@given(prefix=prefixes(), data=st.data())
def test_what_is_encoded_is_decoded(prefix: int, data: st.DataObject) -> None:
    sent = data.draw(st.lists(messages(prefix), max_size=8))
    stream = encode_many(prefix, sent)
    assert stream == b"".join(encode(prefix, *message) for message in sent)
    framer = Framer(prefix, max([0, *(len(message.data) for message in sent)]), strict=True)
    framer.receive_data(stream)
    assert framer.drain() == sent


# How much to read


@pytest.mark.parametrize("value", [True, 1, "yes"])
def test_whatever_is_true_makes_a_framer_strict(value: Any) -> None:
    framer = Framer(PREFIX, 1)
    framer.strict = value
    assert framer.strict is Framer(PREFIX, 1, strict=value).strict is True
    framer.receive_data(encode(PREFIX, 1, b"a")[:5])
    assert framer.next_message() is None
    framer.strict = value  # FRM-E11
    assert framer.bytes_wanted() == HEADER_SIZE - 5


@given(stream=ANY_STREAM, ask=ASKING, strict=st.booleans())
def test_bytes_wanted_completes_every_message_with_no_byte_too_many(
    stream: Stream, ask: Callable[[Framer], list[Message]], strict: bool
) -> None:
    framer = Framer(stream.prefix, stream.size_limit)
    framer.strict = strict and not stream.discarded
    delivered, at = [], 0
    while at < len(stream.data):
        wanted = framer.bytes_wanted()
        assert wanted > 0
        framer.receive_data(stream.data[at : at + wanted])
        at += wanted
        messages = ask(framer)
        assert len(messages) <= 1
        assert not messages or framer.pending == 0
        delivered += messages
    assert delivered == stream.messages


@given(message=messages(PREFIX, max_size=10_000) | st.just(Message(1, bytes(10_000))))
def test_a_message_takes_two_reads(message: Message) -> None:
    framer = Framer(PREFIX, 10_000)
    assert framer.bytes_wanted() == HEADER_SIZE
    data = encode(PREFIX, *message)
    framer.receive_data(data[:HEADER_SIZE])
    if message.data:
        assert framer.next_message() is None
        assert framer.bytes_wanted() == len(message.data)
        framer.receive_data(data[HEADER_SIZE:])
        assert framer.bytes_wanted() == 1
    assert framer.next_message() == message
    assert framer.bytes_wanted() == HEADER_SIZE


# Parameters that change inside a message


@given(stream=ANY_STREAM, other=ANY_STREAM, at=st.integers(0, 200), data=st.data())
def test_a_change_judges_anew_and_loses_no_byte(
    stream: Stream, other: Stream, at: int, data: st.DataObject
) -> None:
    framer = Framer(stream.prefix, stream.size_limit)
    framer.receive_data(stream.data[:at])
    delivered = framer.drain()
    held, dropped = framer.peek(len(stream.data)), framer.discarded
    assert len(held) == framer.pending
    if data.draw(st.booleans()):
        framer.prefix = other.prefix
    framer.size_limit = other.size_limit
    assert framer.peek(len(stream.data)) == held
    fresh = Framer(framer.prefix, framer.size_limit)
    for receiver in (framer, fresh):
        receiver.receive_data((held if receiver is fresh else b"") + stream.data[at:] + other.data)
    assert framer.drain() == fresh.drain()
    assert (framer.discarded - dropped, framer.pending) == (fresh.discarded, fresh.pending)
    assert len(delivered) <= len(stream.data)


@pytest.mark.parametrize("held", [20, 5_000, 9_000])
def test_a_change_back_continues_the_message(held: int) -> None:
    framer = Framer(PREFIX, 10_000)
    data = encode(PREFIX, -1, bytes(range(250)) * 40)
    framer.receive_data(data[:held])
    assert framer.next_message() is None
    for prefix, limit in [(1, 10_000), (PREFIX, 0), (PREFIX, 9_999)]:
        framer.prefix, framer.size_limit = prefix, limit
        assert framer.bytes_wanted() == 1
        assert framer.peek(held + 1) == data[:held]
    framer.prefix, framer.size_limit = PREFIX, 10_000
    framer.receive_data(data[held:])
    assert framer.drain() == [Message(-1, data[HEADER_SIZE:])]
    assert framer.discarded == 0


# Kinds of bytes

MESSAGE_OF_12 = encode(PREFIX, 5, b"twelve bytes")
WITH_GAPS = bytes(byte for pair in zip(MESSAGE_OF_12, bytes(24)) for byte in pair)
KINDS: dict[str, Any] = {
    "bytes": MESSAGE_OF_12,
    "bytearray": bytearray(MESSAGE_OF_12),
    "memoryview": memoryview(MESSAGE_OF_12),
    "with gaps": memoryview(WITH_GAPS)[::2],
    "backwards": memoryview(MESSAGE_OF_12[::-1])[::-1],
    "wide items": memoryview(MESSAGE_OF_12).cast("I"),
    "two dimensions": memoryview(MESSAGE_OF_12).cast("B", (4, 6)),
    "array": array.array("H", MESSAGE_OF_12),
    "a subclass": type("Bytes", (bytes,), {})(MESSAGE_OF_12),
}


@pytest.mark.parametrize("data", KINDS.values(), ids=KINDS.keys())
def test_every_kind_of_bytes_is_taken_for_its_bytes(data: Any) -> None:
    framer = Framer(PREFIX, 12)
    framer.receive_data(data)
    assert framer.pending == len(MESSAGE_OF_12)
    (message,) = framer.drain()
    assert message == (5, b"twelve bytes")
    assert type(message) is Message
    assert type(message.data) is bytes
    as_data = encode(PREFIX, 5, MESSAGE_OF_12)
    assert encode(PREFIX, 5, data) == encode_many(PREFIX, [(5, data)]) == as_data


@pytest.mark.parametrize(
    "data", ["text", 12, None, [1, 2], object()], ids=lambda data: str(data)[:7]
)
def test_what_is_no_bytes_is_a_clear_type_error(data: Any) -> None:
    framer = Framer(PREFIX, 12)
    wanted = rf"^data must be bytes-like, not {type(data).__name__}$"
    for call in (
        lambda: framer.receive_data(data),
        lambda: encode(PREFIX, 1, data),
        lambda: encode_many(PREFIX, [(1, data)]),
    ):
        with pytest.raises(TypeError, match=wanted) as caught:
            call()
        assert caught.value.__suppress_context__
    assert framer.pending == 0


@pytest.mark.parametrize("size", [5, 4_000, 5_000, 70_000])
def test_a_caller_that_changes_its_bytearray_changes_nothing(size: int) -> None:
    data = bytearray(encode(PREFIX, 1, bytes(size)) * 2)
    framer = Framer(PREFIX, size)
    framer.receive_data(b"-" * 5_000)  # so that some of it waits in the backlog
    for start in range(0, len(data), size + 20):
        piece = data[start : start + size + 20]
        framer.receive_data(piece)
        framer.receive_data(memoryview(piece)[:0])
        piece[:] = b"\xff" * len(piece)
        piece += b"longer now"
    assert framer.drain() == [Message(1, bytes(size))] * 2


# Corners


@pytest.mark.parametrize("prefix", [PREFIX, 0, 0xABABABAB])
@pytest.mark.parametrize("at", range(HEADER_SIZE + 1))
def test_a_header_may_be_cut_anywhere(prefix: int, at: int) -> None:
    data = encode(prefix, -2, b"\xff")
    framer = Framer(prefix, 1)
    framer.receive_data(data[:at])
    assert framer.drain() == []
    framer.receive_data(data[at:])
    assert framer.next_message() == (-2, b"\xff")
    assert (framer.discarded, framer.pending) == (0, 0)


@pytest.mark.parametrize("limit", [0, 1, 4_083, 4_084, 4_085, 70_000])
@pytest.mark.parametrize("ask", ASK)
def test_the_limit_is_exact(limit: int, ask: Callable[[Framer], list[Message]]) -> None:
    framer = Framer(PREFIX, limit)
    for over in (0, 1):
        framer.receive_data(encode(PREFIX, over, b"\xff" * (limit + over)))
    assert ask(framer) == [Message(0, b"\xff" * limit)]
    assert (framer.discarded, framer.pending) == (HEADER_SIZE + limit + 1, 0)


def test_a_peek_over_all_places_where_bytes_can_be() -> None:
    framer = Framer(PREFIX, 200_000)
    data = encode(PREFIX, 1, bytes(range(256)) * 700) + bytes(range(200))
    pieces = [data[:9_000], data[9_000:179_300], data[179_300:179_380], data[179_380:]]
    for number, piece in enumerate(pieces):
        framer.receive_data(piece)
        if number == 0:
            assert framer.next_message() is None
    for stop in (0, 1, 11, 12, 13, 9_000, 9_001, 179_212, 179_213, 179_300, 179_390, len(data)):
        assert framer.peek(stop) == data[:stop]
    assert framer.peek(len(data) + 1) == data
    assert framer.pending == len(data)
    assert framer.take(len(data) + 1) == data
    assert (framer.pending, framer.peek(1), framer.take(1)) == (0, b"", b"")


def test_a_framer_tells_what_it_is_about_to_discard() -> None:
    told: list[tuple[int, bytes, int]] = []
    framer = Framer(PREFIX, 10)
    framer.on_discard = lambda *what: told.append(what)
    framer.receive_data(encode(PREFIX, 1, b"a") + b"xyz")
    assert framer.drain() == [(1, b"a")]
    framer.receive_data(b"uvw" * 4 + encode(PREFIX, 2, b"b"))
    assert framer.drain() == [(2, b"b")]
    assert told == [(13, b"xyz", 3), (16, b"uvwuvwuv", 12)]
    assert framer.discarded == 15
