"""Checks of arguments, so that every function reports the same errors."""

from __future__ import annotations

from operator import index
from typing import Final

from .buffer import Buffer
from .layout import MAX_DATA_SIZE, MSG_ID, PREFIX

__all__ = [
    "as_bytes",
    "check_data_size",
    "check_integer",
    "check_msg_id",
    "check_prefix",
    "check_size_limit",
    "flat_bytes",
]


#: Python refuses to convert very large numbers to text.
_TOO_LONG: Final = 10**50


def check_integer(name: str, value: int, lowest: int, highest: int | None = None) -> int:
    """Checks an argument and returns it as an ``int``.

    Raises:
        TypeError: it is not an integer.
        ValueError: it is less than ``lowest``, or more than ``highest``.
    """
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}") from None
    if number < lowest or (highest is not None and number > highest):
        allowed = f"{lowest} or more" if highest is None else f"in {lowest}..{highest}"
        shown = f"is {number}" if abs(number) < _TOO_LONG else "is far out of range"
        raise ValueError(f"{name} {shown}, but must be {allowed}")
    return number


def check_prefix(prefix: int) -> int:
    """The prefix as an ``int``; ``TypeError`` or ``ValueError`` if the wire cannot hold it."""
    return check_integer("prefix", prefix, PREFIX.lowest, PREFIX.highest)


def check_msg_id(msg_id: int) -> int:
    """The message ID as an ``int``; ``TypeError`` or ``ValueError`` as for the prefix."""
    return check_integer("msg_id", msg_id, MSG_ID.lowest, MSG_ID.highest)


def check_size_limit(size_limit: int) -> int:
    """The receiver's limit, in bytes of data, as an ``int``; errors as for the prefix."""
    return check_integer("size_limit", size_limit, 0, MAX_DATA_SIZE)


def check_data_size(data_size: int) -> int:
    """The number of bytes of data in a message as an ``int``; errors as for the prefix."""
    return check_integer("data_size", data_size, 0, MAX_DATA_SIZE)


def as_bytes(name: str, data: Buffer) -> bytes:
    """A copy of any bytes-like object, which later changes of the original do not affect.

    Items wider than a byte count as their bytes. A memoryview with gaps counts as the bytes that it
    shows, in its own order. Callers check for ``bytes`` first to save this call.
    """
    return bytes(flat_bytes(name, data))


def flat_bytes(name: str, data: Buffer, copied_below: int = 0) -> bytes | memoryview:
    """Any bytes-like object as flat bytes; ``TypeError`` if it is not one.

    A contiguous object of ``copied_below`` bytes or more is not copied: later changes show in the
    result.
    """
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"{name} must be bytes-like, not {type(data).__name__}") from None
    if not view.c_contiguous or view.nbytes < max(1, copied_below):
        return view.tobytes()
    return view.cast("B")
