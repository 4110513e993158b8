"""The messages of the notification service, and their JSON payloads.

``parameter`` belongs to the applications and can contain amounts of money. Its text is kept
unchanged; numbers in it are never parsed and formatted again (NFY-M7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from json import JSONEncoder
from typing import Final, TypeAlias

from ..codec import check_integer
from .json_members import MalformedPayload, Members, members_of

__all__ = [
    "ALL",
    "ANY",
    "GROWTH",
    "LONGEST_ID",
    "MAX_PAYLOAD",
    "PORT",
    "PREFIX",
    "Message",
    "Notify",
    "Observation",
    "Observe",
    "Register",
    "UnicastError",
    "Unregister",
    "check_application",
    "check_flags",
    "check_id",
    "check_parameter",
    "check_priority",
    "decode",
    "encode",
]

PREFIX: Final = 0x004E4659
"""The prefix of every message (NFY-M1)."""

PORT: Final = 5899
"""The TCP port of the service (NFY-M1)."""

ANY: Final = "1"
"""The value of ``to`` for any one application."""

ALL: Final = "*"
"""The value of ``to`` for all applications."""

MAX_PAYLOAD: Final = 65536
"""Maximum size of a payload that a server accepts, in bytes (NFY-M9)."""

#: Maximum number of bytes by which a server extends a payload.
GROWTH: Final = 64

LONGEST_ID: Final = 255  # bytes of UTF-8

_PRIORITIES: Final = range(-(2**31), 2**31)
_FLAGS: Final = range(2**32)
_REFERENCES: Final = range(2**53)


@dataclass(frozen=True)
class Register:
    """The client wants notifications for ``notification`` on behalf of ``to``."""

    to: str
    notification: str
    priority: int = 0


@dataclass(frozen=True)
class Unregister:
    """The client no longer wants notifications for ``notification`` on behalf of ``to``."""

    to: str
    notification: str


@dataclass(frozen=True)
class Notify:
    """A notification.

    Attributes:
        sender: application ID of the sender; the member ``from``.
        to: an application ID, ``ANY`` or ``ALL``.
        notification: the notification ID.
        parameter: the JSON text of the parameter, unchanged.
        flags: reserved.
        reference: a number chosen by the server; 0 for none.
    """

    sender: str
    to: str
    notification: str
    parameter: bytes = field(repr=False)
    flags: int = 0
    reference: int = 0


@dataclass(frozen=True)
class UnicastError(Notify):
    """Tells the sender of a notification that it could not be delivered."""


@dataclass(frozen=True)
class Observe:
    """A local client starts or stops observing."""

    wanted: bool = True


@dataclass(frozen=True)
class Observation:
    """What an observer learns of a notification (NFY-O2).

    Attributes:
        sender: application ID of the sender.
        to: application ID of the receiver that it reached; empty if it reached none.
        notification: the notification ID.
        flags: reserved.
    """

    sender: str
    to: str
    notification: str
    flags: int = 0


Message: TypeAlias = Register | Unregister | Notify | Observe | Observation


# --- values ---------------------------------------------------------------------------------------


def check_id(value: str, name: str) -> str:
    """Checks a notification ID or a value of ``to``: 1 to 255 bytes of UTF-8 (NFY-M5).

    Raises:
        TypeError, ValueError: it is invalid; the message begins with ``name``.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        raise ValueError(
            f"{name} contains an unpaired surrogate, which UTF-8 cannot encode"
        ) from None
    if not 0 < size <= LONGEST_ID:
        raise ValueError(f"{name} has {size} bytes, but must have 1..{LONGEST_ID}")
    return value


def check_application(value: str, name: str) -> str:
    """Checks an application ID: like ``check_id``, but neither ``1`` nor ``*`` (NFY-M5).

    Raises:
        TypeError, ValueError: it is invalid; the message begins with ``name``.
    """
    if check_id(value, name) in (ANY, ALL):
        raise ValueError(f"{name} must not be {value!r}, which means any or all applications")
    return value


def check_priority(value: int) -> int:
    """Checks a priority: -2**31..2**31-1 (NFY-M6).

    Raises:
        TypeError, ValueError: it is invalid.
    """
    return _in_range(value, _PRIORITIES, "priority")


def check_flags(value: int) -> int:
    """Checks flags: 0..2**32-1 (NFY-M6).

    Raises:
        TypeError, ValueError: they are invalid.
    """
    return _in_range(value, _FLAGS, "flags")


def _in_range(value: int, allowed: range, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    return check_integer(name, value, allowed[0], allowed[-1])


def check_parameter(text: bytes) -> bytes:
    """Checks the JSON text of a parameter, and returns it without surrounding white space.

    Raises:
        MalformedPayload: it is not a single JSON value, or is nested too deeply.
    """
    members = members_of(b'{"parameter":%b}' % text)
    value = members.raw("parameter")
    if value != text.strip(b" \t\n\r"):  # the text added members to the object
        raise MalformedPayload("not JSON")
    return value


# --- reading --------------------------------------------------------------------------------------


def decode(payload: bytes) -> Message | None:
    """Decodes a payload; None if its type is unknown (NFY-M2).

    Raises:
        MalformedPayload: it is not a valid message of the service (NFY-M4).
    """
    members = members_of(payload)
    read = _READERS.get(members.string("type"))
    return None if read is None else read(members)


def _id(members: Members, name: str, check: Callable[[str, str], str] = check_id) -> str:
    try:
        return check(members.string(name), f"the member {name!r}")
    except MalformedPayload:
        raise
    except ValueError as error:
        raise MalformedPayload(str(error)) from None


def _register(members: Members) -> Register:
    return Register(
        _id(members, "to", check_application),
        _id(members, "notification"),
        members.integer("priority", _PRIORITIES, 0),
    )


def _unregister(members: Members) -> Unregister:
    return Unregister(_id(members, "to", check_application), _id(members, "notification"))


def _notify(members: Members) -> Notify:
    return Notify(*_fields(members))


def _unicast_error(members: Members) -> UnicastError:
    return UnicastError(*_fields(members))


def _fields(members: Members) -> tuple[str, str, str, bytes, int, int]:
    try:
        reference = members.integer("reference", _REFERENCES, 0)
    except MalformedPayload:
        reference = 0  # chosen by another server, so it may have any type
    return (
        _id(members, "from", check_application),
        _id(members, "to"),
        _id(members, "notification"),
        members.raw("parameter"),
        members.integer("flags", _FLAGS, 0),
        reference,
    )


def _observation(members: Members) -> Observation:
    to = members.string("to")
    return Observation(
        _id(members, "from", check_application),
        to and _id(members, "to"),
        _id(members, "notification"),
        members.integer("flags", _FLAGS, 0),
    )


_READERS: Final[dict[str, Callable[[Members], Message]]] = {
    "register": _register,
    "unregister": _unregister,
    "notify": _notify,
    "unicast_error": _unicast_error,
    "observe": lambda _: Observe(),
    "unobserve": lambda _: Observe(wanted=False),
    "observation": _observation,
}


# --- writing --------------------------------------------------------------------------------------

#: Encodes a string as JSON. Characters outside ASCII are not escaped, which would lengthen IDs.
_quoted: Final = JSONEncoder(ensure_ascii=False).encode


def encode(message: Message) -> bytes:
    """Encodes the payload of a message: members in alphabetical order, without white space."""
    if isinstance(message, Notify):
        return _encode_notify(message)
    if isinstance(message, Observe):
        return b'{"type":"observe"}' if message.wanted else b'{"type":"unobserve"}'
    notification, to = _quoted(message.notification), _quoted(message.to)
    if isinstance(message, Register):
        text = f'{{"notification":{notification},"priority":{message.priority},"to":{to},'
        return f'{text}"type":"register"}}'.encode()
    if isinstance(message, Unregister):
        return f'{{"notification":{notification},"to":{to},"type":"unregister"}}'.encode()
    head = f'{{"flags":{message.flags},"from":{_quoted(message.sender)},'
    return f'{head}"notification":{notification},"to":{to},"type":"observation"}}'.encode()


def _encode_notify(message: Notify) -> bytes:
    kind = "unicast_error" if isinstance(message, UnicastError) else "notify"
    head = f'{{"flags":{message.flags},"from":{_quoted(message.sender)},'
    head += f'"notification":{_quoted(message.notification)},"parameter":'
    tail = f',"reference":{message.reference}' if message.reference else ""
    tail += f',"to":{_quoted(message.to)},"type":"{kind}"}}'
    return head.encode() + message.parameter + tail.encode()
