from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vfiipc.codec import HEADER, Framer, encode, encode_header
from vfiipc.recording import Annotator, Cut, Decoded, Discarded, FalseHeader, Gap, Item
from vfiipc.testing import Stream, chunked, streams

PREFIX = 0xC0DEFACE
LIMIT = 100


def _items(*pieces: bytes) -> list[Item]:
    annotator = Annotator(PREFIX, LIMIT)
    found = [item for piece in pieces for item in annotator.feed(piece)]
    return found + list(annotator.finish())


def _covered(item: Item) -> int:
    if isinstance(item, Decoded):
        return HEADER.sizeof() + len(item.message.data)
    return item.count


@given(streams(), st.data())
def test_everything_is_told_once_and_as_the_framer_sees_it(
    stream: Stream, data: st.DataObject
) -> None:
    whole = Annotator(stream.prefix, stream.size_limit)
    expected = [*whole.feed(stream.data), *whole.finish()]
    annotator = Annotator(stream.prefix, stream.size_limit)
    items = [item for chunk in data.draw(chunked(stream.data)) for item in annotator.feed(chunk)]
    items += annotator.finish()
    assert items == expected

    assert [item.message for item in items if isinstance(item, Decoded)] == stream.messages
    assert sum(i.count for i in items if isinstance(i, Discarded)) == stream.discarded
    assert sum(i.count for i in items if isinstance(i, Cut)) == stream.pending
    position = 0
    for item in items:
        assert item.position == position
        if isinstance(item, Discarded):
            assert item.head == stream.data[position:][: item.count][:8]
        position += _covered(item)
    assert position == len(stream.data)


def test_a_message_shows_its_place_and_size() -> None:
    first, second = _items(encode(PREFIX, 7, b"hello") + encode(PREFIX, -1, b""))
    assert isinstance(first, Decoded)
    assert (first.position, first.size, first.message) == (0, 9, (7, b"hello"))
    assert isinstance(second, Decoded)
    assert (second.position, second.size, second.message) == (17, 4, (-1, b""))


def test_garbage_has_no_prefix() -> None:
    garbage, _ = _items(b"garbage", b" and more", encode(PREFIX, 1, b""))
    assert isinstance(garbage, Discarded)
    assert (garbage.position, garbage.count, garbage.head) == (0, 16, b"garbage ")
    assert garbage.reason() == "no prefix"


def test_bad_sizes_are_named() -> None:
    large = encode_header(PREFIX, 1, LIMIT + 1)
    small = large[:4] + bytes(4)
    (dropped,) = _items(b"x" + large + small + large + small + bytes(20))
    assert isinstance(dropped, Discarded)
    assert dropped.false_headers == [FalseHeader(1, 105), FalseHeader(13, 0), FalseHeader(21, 105)]
    assert dropped.false_count == 4
    assert dropped.reason() == (
        "size 105 at 1 is above the limit of 100 bytes of data, and 3 more false headers"
    )
    (dropped,) = _items(small + bytes(20))
    assert isinstance(dropped, Discarded)
    assert dropped.reason() == "size 0 at 0 is below 4"


def test_what_is_cut_off() -> None:
    frame = encode(PREFIX, 7, b"hello")
    assert _items(frame[:-2]) == [Cut(0, 15, 2, 7)]
    assert _items(frame[:6]) == [Cut(0, 6, 6, None)]
    (cut,) = _items(frame[:-2])
    assert isinstance(cut, Cut)
    assert cut.reason() == "message 7 cut off: 15 of 17 bytes"
    (cut,) = _items(frame[:6])
    assert isinstance(cut, Cut)
    assert cut.reason() == "cut off within the header: 6 of 12 bytes"


def test_a_gap_cuts_a_message_and_the_next_is_found() -> None:
    frame = encode(PREFIX, 7, b"hello")
    annotator = Annotator(PREFIX, LIMIT)
    items = [*annotator.feed(b"!" + frame[:14]), *annotator.gap(10), *annotator.feed(b"lo" + frame)]
    items += annotator.finish()
    assert [(type(item), item.position) for item in items] == [
        (Discarded, 0),
        (Cut, 1),
        (Gap, 15),
        (Discarded, 25),
        (Decoded, 27),
    ]
    assert items[2] == Gap(15, 10)


def test_a_gap_at_once() -> None:
    annotator = Annotator(PREFIX, LIMIT)
    assert list(annotator.gap(3)) == [Gap(0, 3)]
    (message,) = annotator.feed(encode(PREFIX, 1, b""))
    assert message.position == 3


def test_a_large_message_in_pieces_is_whole() -> None:
    framer = Framer(PREFIX, 1 << 20)
    frame = encode(PREFIX, 1, bytes(1 << 20))
    framer.receive_data(frame)
    annotator = Annotator(PREFIX, 1 << 20)
    pieces = [frame[at : at + 1000] for at in range(0, len(frame), 1000)]
    items = [item for piece in [*pieces, *pieces] for item in annotator.feed(piece)]
    assert [(item.position) for item in items] == [0, len(frame)]
    assert isinstance(items[1], Decoded)
    assert items[1].message == framer.next_message()
