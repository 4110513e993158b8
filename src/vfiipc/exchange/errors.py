"""What connections raise: when they cannot begin, and after their end."""

from __future__ import annotations

import copy

__all__ = ["ConnectionClosed", "cut_or_ended", "explained", "same_error"]


class ConnectionClosed(ConnectionError):
    """The connection was closed: by the peer, between messages or inside one, or on this side.

    It has no ``errno``. A broken connection raises another ``OSError``, which has one.

    Args:
        reason: what happened, in words.
        rest: the bytes of a truncated message; empty after a clean end. They may be card data:
            neither the text nor the repr shows them.
    """

    def __init__(self, reason: str, rest: bytes = b"") -> None:
        super().__init__(reason)
        self.rest = rest


def cut_or_ended(rest: bytes) -> ConnectionClosed:
    """The error for a peer that has closed, with the bytes of a truncated message (CON-C4)."""
    if rest:
        count = f"{len(rest)} bytes" if len(rest) > 1 else "1 byte"
        return ConnectionClosed(f"the peer closed inside a message, after {count} of it", rest)
    return ConnectionClosed("the peer closed the connection")


def same_error(error: BaseException) -> BaseException:
    """A copy to raise: an exception raised by many calls would accumulate their tracebacks."""
    return copy.copy(error)


def explained(cause: BaseException | None, what: str) -> OSError:
    """An exception of the same kind, with the same ``errno``, whose text begins with ``what``.

    The original failure is its cause.
    """
    reason = getattr(cause, "strerror", None) or str(cause)
    error: OSError
    if isinstance(cause, OSError) and type(cause).__module__ != OSError.__module__:
        error = copy.copy(cause)  # numbers of ssl and of resolving are not those of the system
        error.args = (cause.errno, f"{what}: {reason}")
        error.strerror = f"{what}: {reason}"
    elif isinstance(cause, OSError) and cause.errno is not None:
        error = OSError(cause.errno, f"{what}: {reason}")
    elif isinstance(cause, TimeoutError):
        error = TimeoutError(f"{what}: {reason}")
    else:
        error = OSError(f"{what}: {reason}")
    error.__cause__ = cause
    return error
