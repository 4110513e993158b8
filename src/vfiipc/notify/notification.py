"""What handlers get, and what senders give."""

from __future__ import annotations

import json
from typing import Any, Final

from .json_members import DEEPEST
from .messages import ALL, ANY, Notify, UnicastError, check_parameter

__all__ = ["Notification", "Undeliverable", "parameter_text"]

#: Characters outside ASCII stay what they are.
_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Notification:
    """A notification that was received. Its repr shows no parameter, which can be card data."""

    __slots__ = ("_notify",)

    def __init__(self, notify: Notify) -> None:
        self._notify = notify

    @property
    def id(self) -> str:
        """The notification ID."""
        return self._notify.notification

    @property
    def sender(self) -> str:
        """Application ID of the sender, as it calls itself."""
        return self._notify.sender

    @property
    def to(self) -> str:
        """How it was addressed: an application ID, ``"1"`` or ``"*"``."""
        return self._notify.to

    @property
    def flags(self) -> int:
        """Reserved; 0 if the sender set nothing else."""
        return self._notify.flags

    @property
    def is_broadcast(self) -> bool:
        """Whether it went to all applications."""
        return self._notify.to == ALL

    @property
    def parameter(self) -> Any:
        """The parameter as ``json.loads`` returns it; parsed on each use.

        That makes floats of numbers such as ``1.10``. For money take ``parameter_json``, as in
        ``json.loads(notification.parameter_json, parse_float=decimal.Decimal)``.
        """
        return json.loads(self._notify.parameter)

    @property
    def parameter_json(self) -> bytes:
        """The JSON text of the parameter, byte for byte as its sender wrote it."""
        return self._notify.parameter

    def __repr__(self) -> str:
        notify = self._notify
        to = {ANY: "any one", ALL: "all"}.get(notify.to, repr(notify.to))
        size = len(notify.parameter)
        kind = "Undelivered" if isinstance(notify, UnicastError) else ""
        return f"<{kind}Notification {self.id!r} from {self.sender!r} to {to}, {size} bytes>"


class Undeliverable(Exception):
    """Nobody got the notification.

    Attributes:
        notification: the one that was sent.
    """

    def __init__(self, notification: Notification) -> None:
        super().__init__(
            f"nobody got {notification.id!r}: no application {notification.to!r} has registered"
            " for it, or the allow list does not permit it"
            if notification.to != ANY
            else f"nobody got {notification.id!r}: no application has registered for it, or the"
            " allow list does not permit it"
        )
        self.notification = notification


def parameter_text(parameter: object) -> bytes:
    """The JSON text of a parameter (NFY-C9).

    Args:
        parameter: a value for ``json.dumps``, or ``bytes`` with JSON text.

    Raises:
        TypeError, ValueError: it is neither.
    """
    if isinstance(parameter, bytes):
        return check_parameter(parameter)
    try:
        text = _encode(parameter).encode()
    except UnicodeEncodeError:
        raise ValueError(
            "the parameter contains an unpaired surrogate, which UTF-8 cannot encode"
        ) from None
    except RecursionError:
        raise ValueError("the parameter is nested too deeply") from None
    if text.count(b"[") + text.count(b"{") >= DEEPEST:
        check_parameter(text)  # NFY-M4: a server would ignore it
    return text
