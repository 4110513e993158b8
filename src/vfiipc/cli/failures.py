"""Why something could not be done, in words for a user."""

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


#: What the README says of the extra for the command line.
INSTALL_CLI: Final = "in a clone of vfiipc: pip install '.[cli]'"
#: The same of the conformance kit.
INSTALL_CONFORMANCE: Final = "in a clone of vfiipc: pip install '.[conformance]'"


class Failure(Exception):
    """Ends a command with this one line and exit status 1: it could not be done."""

    status = 1


class Malformed(Failure):
    """The same with exit status 2: what the user wrote cannot be right."""

    status = 2


def describe(error: BaseException | None) -> str:
    """What an exception says, without numbers and class names where it says something."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return str(error) or type(error).__name__ if error else "for a reason unknown"


def seconds(timeout_msec: int) -> str:
    """A time-out as the user gave it."""
    return f"{timeout_msec / 1000:g} s"


def no_connection(address: object, error: BaseException | None, timeout_msec: int) -> Failure:
    """What to say when ``connect`` was not successful."""
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
    """What to say when no message came, or none could be written.

    Args:
        ipc: the connection.
        address: where it leads.
        timeout_msec: how long the answer was waited for.
        prefix: that of the messages, if it may be the wrong one.
        discarded: the bytes that came and were no message, besides those that ``ipc`` counts.
    """
    discarded += ipc.discarded
    if ipc.error():
        said = f"connection to {address} broken: {describe(ipc.last_error)}"
    elif ipc.eof():
        said = f"closed by the peer: {address} ended the connection without an answer"
    else:
        said = f"time-out: no answer from {address} within {seconds(timeout_msec)}"
        if prefix is not None and not discarded:
            wrong = f"another prefix than {show_prefix(prefix)}"
            said += f"; a peer that expects {wrong} would not answer (--prefix)"
    if discarded:
        said += f"; it sent {discarded:,} bytes that are no message with this prefix and limit"
    return Failure(said)
