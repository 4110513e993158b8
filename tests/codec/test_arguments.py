"""Arguments that the wire cannot hold, what is shown of messages, and what errors carry."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from vfiipc.codec import (
    MAX_DATA_SIZE,
    Framer,
    FramingError,
    Message,
    SyncLostError,
    arguments,
    encode,
    encode_header,
    encode_many,
    message,
)

DOORS: dict[str, list[Callable[[Any], object]]] = {
    "prefix": [
        lambda value: encode(value, 0, b""),
        lambda value: encode_header(value, 0, 0),
        lambda value: encode_many(value, []),
        lambda value: encode_many(value, [(0, b"")]),
        lambda value: Framer(value, 0),
        lambda value: setattr(Framer(1, 0), "prefix", value),
    ],
    "msg_id": [
        lambda value: encode(0, value, b""),
        lambda value: encode_header(0, value, 0),
        lambda value: encode_many(0, [(0, b""), (value, b"")]),
    ],
    "data_size": [lambda value: encode_header(0, 0, value)],
    "size_limit": [
        lambda value: Framer(0, value),
        lambda value: setattr(Framer(0, 0), "size_limit", value),
    ],
    "n": [lambda value: Framer(0, 0).take(value), lambda value: Framer(0, 0).peek(value)],
}
RANGES = {
    "prefix": (0, 2**32 - 1),
    "msg_id": (-(2**31), 2**31 - 1),
    "data_size": (0, MAX_DATA_SIZE),
    "size_limit": (0, MAX_DATA_SIZE),
    "n": (0, None),
}
CALLS = [pytest.param(name, call, id=name) for name, doors in DOORS.items() for call in doors]


class Index:
    """An integer that is no ``int``, as those of numpy."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


@pytest.mark.parametrize(("name", "call"), CALLS)
def test_values_out_of_range_are_named_with_their_range(
    name: str, call: Callable[[Any], object]
) -> None:
    lowest, highest = RANGES[name]
    call(lowest)
    call(Index(lowest))
    allowed = f"in {lowest}..{highest}" if highest is not None else "0 or more"
    outside = [lowest - 1, -(2**70)]
    if highest is not None:
        outside += [highest + 1, 2**70]
        call(highest)
    for value in outside:
        with pytest.raises(ValueError, match=f"^{name} is {value}, but must be {allowed}$"):
            call(value)
    with pytest.raises(ValueError, match=f"^{name} is far out of range, but must be {allowed}$"):
        call(-(10**5000))  # too long for Python to write


@pytest.mark.parametrize(("name", "call"), CALLS)
@pytest.mark.parametrize("value", [None, "1", 1.0, b"1"], ids=repr)
def test_values_of_a_wrong_type_are_named_with_their_type(
    name: str, call: Callable[[Any], object], value: object
) -> None:
    wanted = f"^{name} must be an int, not {type(value).__name__}$"
    with pytest.raises(TypeError, match=wanted) as caught:
        call(value)
    assert caught.value.__suppress_context__


def test_an_index_becomes_an_int() -> None:
    framer = Framer(Index(5), Index(6))  # type: ignore[arg-type]
    assert (type(framer.prefix), type(framer.size_limit)) == (int, int)
    assert (framer.prefix, framer.size_limit) == (5, 6)


def test_data_above_the_greatest_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # With a small limit: real data of that size would be 2 GiB.
    for module in (arguments, message):
        monkeypatch.setattr(module, "MAX_DATA_SIZE", 10)
    wanted = r"^data_size is 11, but must be in 0\.\.10$"
    assert len(encode(1, 2, bytes(10))) == 22
    with pytest.raises(ValueError, match=wanted):
        encode(1, 2, bytes(11))
    with pytest.raises(ValueError, match=wanted):
        encode_header(1, 2, 11)
    assert len(encode_many(1, [(2, bytes(10))] * 3)) == 66
    with pytest.raises(ValueError, match=wanted):
        encode_many(1, [(2, b""), (2, bytes(11)), (2, b"")])


def test_good_arguments_are_not_checked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*arguments: object) -> Any:
        pytest.fail(f"checked {arguments}")

    # Asking first what might be wrong would halve the speed; bytes need no copy.
    for name in ("encode_header", "check_data_size", "check_msg_id", "as_bytes"):
        monkeypatch.setattr(message, name, slow)
    monkeypatch.setattr(message, "MAX_DATA_SIZE", 12 + 3)
    expected = bytes.fromhex("01020304 00000007 fffffffe 616263")
    assert encode(0x01020304, -2, b"abc") == expected
    assert encode_many(0x01020304, [(-2, b"abc")]) == expected
    assert len(encode(1, 2, bytes(15))) == 27
    assert [len(encode_header(1, 2, size)) for size in (0, 15)] == [12, 12]


# What is shown


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"", "Message(msg_id=-1, data=b'')"),
        (b"0123456789abcdef", "Message(msg_id=-1, data=b'0123456789abcdef')"),
        (b"0123456789abcdef-", "Message(msg_id=-1, data=b'0123456789abcdef' and 1 bytes more)"),
        (bytes(1000), f"Message(msg_id=-1, data={bytes(16)!r} and 984 bytes more)"),
    ],
)
def test_a_message_shows_sixteen_bytes(data: bytes, shown: str) -> None:
    assert repr(Message(-1, data)) == str(Message(-1, data)) == shown


def test_a_message_is_a_tuple_with_names() -> None:
    sent = Message(msg_id=3, data=b"abc")
    msg_id, data = sent
    assert (msg_id, data) == sent == (3, b"abc")
    assert pickle.loads(pickle.dumps(sent)) == copy.copy(sent) == sent
    assert hash(sent) == hash((3, b"abc"))


def test_a_framer_shows_its_parameters_and_no_data() -> None:
    framer = Framer(0xAB, 100)
    framer.receive_data(b"card data")
    framer.drain()
    framer.receive_data(b"12")
    assert repr(framer) == "<Framer prefix=0x000000ab size_limit=100 pending=2 discarded=9>"


# Errors


def lost(stream: bytes, limit: int = 20) -> SyncLostError:
    framer = Framer(0xA1B2C3D4, limit, strict=True)
    framer.receive_data(stream)
    with pytest.raises(SyncLostError) as caught:
        framer.next_message()
    return caught.value


def test_lost_synchronisation_says_where_and_shows_eight_bytes() -> None:
    error = lost(bytes.fromhex("a1b2c3d5 00000004 5ec12e70 0da7a0"))
    assert isinstance(error, FramingError)
    assert (error.position, error.found) == (0, bytes.fromhex("a1b2c3d5 00000004"))
    assert error.args == (0, error.found, error.expected)
    assert error.expected == "prefix a1 b2 c3 d4 and a size of 4..24"
    assert str(error) == (
        "synchronisation lost at byte 0: found a1 b2 c3 d5 00 00 00 04, "
        "expected prefix a1 b2 c3 d4 and a size of 4..24"
    )


@pytest.mark.parametrize("limit", [0, 20])
def test_lost_synchronisation_names_the_sizes_allowed(limit: int) -> None:
    error = lost(encode(0xA1B2C3D4, 1, bytes(limit + 1)), limit)
    assert error.expected.endswith(f"a size of 4..{4 + limit}")
    assert error.found == encode(0xA1B2C3D4, 1, bytes(limit + 1))[:8]


@pytest.mark.parametrize("again", [pickle.dumps, None])
def test_lost_synchronisation_survives_pickling_and_copying(again: Any) -> None:
    error = lost(b"what?")
    twin = pickle.loads(again(error)) if again else copy.copy(error)
    assert type(twin) is SyncLostError
    assert (twin.position, twin.found, twin.expected) == (0, b"what?", error.expected)
    assert str(twin) == str(error)


def test_every_later_call_reports_the_same_fault() -> None:
    framer = Framer(1, 5, strict=True)
    framer.receive_data(encode(1, 2, b"12") + b"????")
    assert framer.drain() == [(2, b"12")]
    reports = []
    framer.strict = False
    for call in (framer.drain, framer.next_message, lambda: framer.receive_data(b"more")):
        with pytest.raises(SyncLostError) as caught:
            call()
        reports.append(str(caught.value))
    assert len(set(reports)) == 1
    assert "at byte 14: found 3f 3f 3f 3f, expected" in reports[0]
    assert (framer.pending, framer.discarded) == (4, 0)
    assert framer.take(3) == b"???"
    assert framer.pending == 1
