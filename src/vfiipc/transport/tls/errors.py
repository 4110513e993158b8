"""The errors of TLS: the original's codes, and the exceptions behind them."""

from __future__ import annotations

import socket
import ssl
from enum import IntEnum, IntFlag
from typing import Final

__all__ = [
    "Check",
    "Code",
    "code_of",
    "cut_off",
    "failed",
    "interrupted",
]


class Code(IntEnum):
    """The original's error codes, in its order."""

    OK = 0
    ERR_HOST = 1
    ERR_PORT = 2
    ERR_SOCKET = 3
    ERR_UNKNOWN_HOST = 4
    ERR_CONNECT = 5
    ERR_TIMEOUT = 6
    ERR_AUTHENTICATION = 7
    ERR_FAIL = 8


class Check(IntFlag):
    """The original's flags; each disables one check of certificates, ``IGNORE_ALL`` all of them."""

    IGNORE_NONE = 0
    IGNORE_ALL = 1
    IGNORE_SELF_SIGNED = 2
    IGNORE_EXPIRED = 4
    IGNORE_NOT_YET_VALID = 8
    IGNORE_HOSTNAME = 16


# Parts of OpenSSL's names for failures that a certificate, or the lack of one, has caused. A server
# of TLS 1.2 without the client's certificate reports just the third.
_AUTHENTICATION: Final = (
    "CERT",
    "UNKNOWN_CA",
    "ALERT_HANDSHAKE_FAILURE",
    "ALERT_ACCESS_DENIED",
    "ALERT_DECRYPT_ERROR",
    "BAD_SIGNATURE",
)


def code_of(cause: BaseException | None) -> Code:
    """The code of a failure."""
    if cause is None:
        return Code.OK
    if isinstance(cause, TimeoutError):
        return Code.ERR_TIMEOUT
    if isinstance(cause, socket.gaierror):
        return Code.ERR_UNKNOWN_HOST
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or ""
        if any(part in reason for part in _AUTHENTICATION):
            return Code.ERR_AUTHENTICATION
    return Code.ERR_FAIL


def failed(reason: str, text: str) -> ssl.SSLError:
    """A failure of TLS: OpenSSL's name of it, such as ``WRONG_VERSION_NUMBER``, and a text."""
    cause = ssl.SSLError(ssl.SSL_ERROR_SSL, text)
    cause.reason = reason
    return cause


def cut_off() -> ssl.SSLEOFError:
    """The stream ended without close_notify (IPC-S9)."""
    text = "the stream ended without close_notify: the data may be truncated"
    return ssl.SSLEOFError(ssl.SSL_ERROR_EOF, text)


def interrupted() -> ssl.SSLError:
    """An exception struck at a point where the state of the session is unknown afterwards."""
    text = "an exception interrupted TLS: the state of the session is unknown"
    return failed("INTERRUPTED", text)
