from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vfiipc.cli.inspector.gate import Gate, Piece
from vfiipc.cli.prefix_finder import Framing
from vfiipc.codec import Framer, Message, encode, encode_header
from vfiipc.recording import Decoded
from vfiipc.testing import Stream, chunked, streams

PREFIX = 0x004E4659
ONE, TWO = encode(PREFIX, 1, b"one"), encode(PREFIX, 2, b"two")


def _gate() -> Gate:
    return Gate(Framing(PREFIX, 100).reader())


def _fed(gate: Gate, data: bytes, *, holding: bool) -> list[Piece]:
    return list(gate.feed(data, holding=holding))


@given(stream=streams(), data=st.data())
def test_every_byte_passes_in_order(stream: Stream, data: st.DataObject) -> None:
    gate = Gate(Framing(stream.prefix, stream.size_limit).reader())
    pieces: list[Piece] = []
    chunks = data.draw(chunked(stream.data))
    for chunk in chunks:
        pieces += gate.feed(chunk, holding=data.draw(st.booleans()))
    pieces += gate.finish()
    assert b"".join(piece.data for piece in pieces) == stream.data
    for piece in pieces:
        if piece.whole:
            assert isinstance(piece.item, Decoded)
            assert piece.data == encode(stream.prefix, *piece.item.message)
    # What passes up to a place where another message may be put in leaves nothing half received.
    framer = Framer(stream.prefix, stream.size_limit)
    for piece in pieces:
        framer.receive_data(piece.data)
        framer.drain()
        if piece.whole:
            assert piece.between
            assert framer.pending == 0


def test_half_a_message_passes_unless_something_is_to_be_held() -> None:
    gate = _gate()
    assert [piece.data for piece in _fed(gate, ONE[:14], holding=False)] == [ONE[:14]]
    gate = _gate()
    assert _fed(gate, ONE[:14], holding=True) == []
    (piece,) = _fed(gate, ONE[14:], holding=True)
    assert piece == Piece(ONE, Decoded(0, Message(1, b"one")), whole=True)


def test_a_message_that_has_passed_in_part_is_not_held() -> None:
    gate = _gate()
    (half,) = _fed(gate, ONE[:14], holding=False)
    assert not half.between
    rest, two = _fed(gate, ONE[14:] + TWO, holding=True)
    assert (rest.data, rest.whole, rest.between) == (ONE[14:], False, True)
    assert (two.data, two.whole) == (TWO, True)


def test_garbage_does_not_wait_for_a_message() -> None:
    gate = _gate()
    pieces = _fed(gate, b"garbage" + ONE[:12], holding=True)
    assert [piece.data for piece in pieces] == [b"garbage"]
    assert _fed(gate, b"on", holding=True) == []


def test_what_is_left_passes_at_the_end() -> None:
    gate = _gate()
    assert _fed(gate, ONE[:14], holding=True) == []
    told, rest = gate.finish()
    assert told.item is not None
    assert (rest.data, rest.between) == (ONE[:14], False)


def test_a_false_header_above_the_limit_is_told_of_and_passes() -> None:
    gate = _gate()
    large = encode_header(PREFIX, 1, 101) + bytes(101)
    pieces = _fed(gate, large + ONE, holding=True)
    assert b"".join(piece.data for piece in pieces) == large + ONE
    assert [piece.whole for piece in pieces if piece.item is not None] == [False, True]
