"""The messages of the notification service: JSON payloads, and what they mean.

``parameter`` belongs to the applications and can hold amounts of money. Its text is kept as it
arrived; no number in it is ever parsed and written again (NFY-M7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from json import JSONEncoder
from typing import Final, TypeAlias

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
"""``to`` any one application."""

ALL: Final = "*"
"""``to`` all applications."""

MAX_PAYLOAD: Final = 65536
"""Maximum payload that a server accepts, in bytes (NFY-M9)."""

#: Bytes by which a server may extend a payload.
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
        parameter: the JSON text of the parameter, as it was written.
        flags: reserved.
        reference: a number that the server chose; 0 if there is none.
    """

    sender: str
    to: str
    notification: str
    parameter: bytes = field(repr=False)
    flags: int = 0
    reference: int = 0


@dataclass(frozen=True)
class UnicastError(Notify):
    """The notification could not be delivered. Goes to its sender."""


@dataclass(frozen=True)
class Observe:
    """A local client wants to observe, or no longer wants to."""

    wanted: bool = True


@dataclass(frozen=True)
class Observation:
    """A notification was delivered to the application ``to``; to nobody if that is empty."""

    sender: str
    to: str
    notification: str
    flags: int = 0


Message: TypeAlias = Register | Unregister | Notify | Observe | Observation


# --- values ---------------------------------------------------------------------------------------


def check_id(value: str, name: str) -> str:
    """A notification ID, or whom a notification is for: 1 to 255 bytes of UTF-8 (NFY-M5).

    Raises:
        TypeError, ValueError: it is something else; the text begins with ``name``.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half a surrogate pair, which is not text") from None
    if not 0 < size <= LONGEST_ID:
        raise ValueError(f"{name} has {size} bytes, but must have 1..{LONGEST_ID}")
    return value


def check_application(value: str, name: str) -> str:
    """An application ID: as above, but neither ``1`` nor ``*`` (NFY-M5).

    Raises:
        TypeError, ValueError: it is something else; the text begins with ``name``.
    """
    if check_id(value, name) in (ANY, ALL):
        raise ValueError(f"{name} is {value!r}, which stands for any or all applications")
    return value


def check_priority(value: int) -> int:
    """A priority: -2**31..2**31-1 (NFY-M6).

    Raises:
        TypeError, ValueError: it is something else.
    """
    return _in_range(value, _PRIORITIES, "priority")


def check_flags(value: int) -> int:
    """Flags: 0..2**32-1 (NFY-M6).

    Raises:
        TypeError, ValueError: it is something else.
    """
    return _in_range(value, _FLAGS, "flags")


def _in_range(value: int, allowed: range, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value not in allowed:
        raise ValueError(f"{name} is out of range: it must be in {allowed[0]}..{allowed[-1]}")
    return value


def check_parameter(text: bytes) -> bytes:
    """The JSON text of a parameter, without the space around it.

    Raises:
        MalformedPayload: it is not one JSON value, or nested too deeply.
    """
    members = members_of(b'{"parameter":%b}' % text)
    value = members.raw("parameter")
    if value != text.strip(b" \t\n\r"):  # there were several members
        raise MalformedPayload("not JSON")
    return value


# --- reading --------------------------------------------------------------------------------------


def decode(payload: bytes) -> Message | None:
    """What a payload means; None if its type is unknown (NFY-M2).

    Raises:
        MalformedPayload: it is not a message of the service (NFY-M4).
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
        reference = 0  # another server's, which may be of any type
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

#: A string as JSON; characters outside ASCII stay what they are, so that no ID gets longer.
_quoted: Final = JSONEncoder(ensure_ascii=False).encode


def encode(message: Message) -> bytes:
    """The payload of a message: its members in alphabetical order, without space."""
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
