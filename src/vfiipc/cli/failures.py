"""Failures of commands, and their messages for users."""

from __future__ import annotations

import socket
from typing import Final

from .. import IPC
from .arguments import show_prefix

__all__ = [
    "INSTALL_CLI",
    "INSTALL_CONFORMANCE",
    "Failure",
    "Malformed",
    "describe",
    "no_answer",
    "no_connection",
    "seconds",
]


#: How to install the extra for the command line.
INSTALL_CLI: Final = "in a clone of vfiipc: pip install '.[cli]'"
#: How to install the extra of the conformance kit.
INSTALL_CONFORMANCE: Final = "in a clone of vfiipc: pip install '.[conformance]'"


_APPENDED: Final = " (while attempting"  # by Python, with the address; messages name it anyway


class Failure(Exception):
    """Ends a command with a message of one line and exit status 1."""

    status = 1


class Malformed(Failure):
    """The same with exit status 2, for invalid input from the user."""

    status = 2


def describe(error: BaseException | None) -> str:
    """The message of an exception, without its number; the class name if it has no message."""
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror.partition(_APPENDED)[0]
        return text[:1].lower() + text[1:]
    return str(error) or type(error).__name__ if error else "unknown reason"


def seconds(timeout_msec: int) -> str:
    """A time-out as the user gave it."""
    return f"{timeout_msec / 1000:g} s"


def no_connection(address: object, error: BaseException | None, timeout_msec: int) -> Failure:
    """The failure for a ``connect`` that did not succeed."""
    if isinstance(error, ConnectionRefusedError):
        return Failure(f"connection refused: nothing listens at {address}")
    if isinstance(error, socket.gaierror):
        return Failure(f"no address found for {address}: {describe(error)}")
    if isinstance(error, TimeoutError):
        return Failure(f"time-out: no connection to {address} within {seconds(timeout_msec)}")
    return Failure(f"no connection to {address}: {describe(error)}")


def no_answer(
    ipc: IPC,
    address: object,
    timeout_msec: int,
    prefix: int | None = None,
    discarded: int = 0,
) -> Failure:
    """The failure if no message arrived, or none could be written.

    Args:
        ipc: the connection.
        address: the address of the peer.
        timeout_msec: the time-out that applied, in milliseconds.
        prefix: the prefix in use, to suggest that it may be wrong; None to suggest nothing.
        discarded: bytes that were discarded, in addition to those that ``ipc`` counts.
    """
    discarded += ipc.discarded
    if ipc.error():
        said = f"connection to {address} broken: {describe(ipc.last_error)}"
    elif ipc.eof():
        said = f"closed by the peer: {address} closed the connection without an answer"
    else:
        said = f"time-out: no answer from {address} within {seconds(timeout_msec)}"
        if prefix is not None and not discarded:
            wrong = f"another prefix than {show_prefix(prefix)}"
            said += f"; a peer that expects {wrong} would not answer (--prefix)"
    if discarded:
        said += f"; it sent {discarded:,} bytes that are not a message with this prefix and limit"
    return Failure(said)
