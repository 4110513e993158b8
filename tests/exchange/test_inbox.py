from __future__ import annotations

import pytest

from vfiipc.codec import Message
from vfiipc.exchange import Inbox

ONE, TWO = Message(1, b"12345"), Message(2, b"")


def test_gives_messages_in_their_order() -> None:
    inbox = Inbox(9, 9)
    inbox.put(ONE)
    inbox.put(TWO)
    assert (len(inbox), inbox.size) == (2, 5)
    assert inbox.take() is ONE
    inbox.put_back(ONE)
    assert [inbox.take(), inbox.take()] == [ONE, TWO]
    assert (len(inbox), inbox.size) == (0, 0)
    with pytest.raises(IndexError):
        inbox.take()


def _fullness(inbox: Inbox, message: Message) -> list[bool]:
    """After one message, after a second, and after one was taken."""
    seen = []
    for step in (inbox.put, inbox.put, lambda _: inbox.take()):
        step(message)
        seen.append(inbox.full)
    return seen


def test_is_full_by_number() -> None:  # CON-U1
    inbox = Inbox(2, 100)
    assert _fullness(inbox, TWO) == [False, True, False]


def test_is_full_by_size() -> None:  # CON-U1
    inbox = Inbox(100, 6)
    assert _fullness(inbox, ONE) == [False, True, False]


@pytest.mark.parametrize("name", ["max_unclaimed", "max_unclaimed_size"])
def test_bounds_are_at_least_one(name: str) -> None:
    bounds = {"max_unclaimed": 1, "max_unclaimed_size": 1} | {name: 0}
    with pytest.raises(ValueError, match=f"{name} is 0, but must be 1 or more"):
        Inbox(*bounds.values())
    with pytest.raises(TypeError, match=f"{name} must be an int, not str"):
        Inbox(*(bounds | {name: "1"}).values())  # type: ignore[arg-type]
