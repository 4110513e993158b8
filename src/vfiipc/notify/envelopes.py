"""The subjects and envelopes that servers send each other over a bus.

An envelope consists of a head, which is one line of JSON, and a body: the unchanged payload of a
notification, or registrations. Rules: ``spec/notify.md``, section 13.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, NoReturn

from .json_members import MalformedPayload
from .messages import (
    Notify,
    Observation,
    Register,
    Unregister,
    check_application,
    check_id,
    check_priority,
    decode,
)
from .registrations import Change, Departed, Registered, Withdrawn

__all__ = [
    "HEAD",
    "OBSERVATIONS",
    "REGISTRATIONS",
    "REGISTRATIONS_BODY",
    "Envelope",
    "broadcast_subject",
    "decode_changes",
    "decode_envelope",
    "decode_notify",
    "decode_observation",
    "encode_changes",
    "encode_envelope",
    "node_subject",
    "registrations_subject",
    "reply_subject",
    "snapshots_subject",
]

_ROOT: Final = "nfy.1"
#: The heartbeats and changes of all servers.
REGISTRATIONS: Final = f"{_ROOT}.reg.*"
OBSERVATIONS: Final = f"{_ROOT}.seen"

#: Maximum size of a head, and of the body of an envelope with registrations, in bytes.
HEAD: Final = 4096
REGISTRATIONS_BODY: Final = 64 * 1024
#: Size of the registrations after which another envelope begins, in bytes.
_PART: Final = 48 * 1024

_NUMBERS: Final = range(2**53)
_LONGEST_SESSION: Final = 64


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_write: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_read: Final = json.JSONDecoder(parse_constant=_refuse).decode


@lru_cache(maxsize=4096)  # a broadcast needs one each time
def _token(text: str) -> str:
    """Encodes an ID, which may contain any characters, as a word of a subject (NFY-G2)."""
    digest = hashlib.sha256(text.encode()).digest()
    return base64.b32encode(digest)[:26].decode()


def registrations_subject(node: str, asker: str | None = None) -> str:
    """The subject for the registrations of a server; with ``asker``, only for that server."""
    to = f".{_token(asker)}" if asker is not None else ""
    return f"{_ROOT}.reg.{_token(node)}{to}"


def snapshots_subject(asker: str) -> str:
    """The subject for all snapshots that a server has asked for."""
    return f"{_ROOT}.reg.*.{_token(asker)}"


def node_subject(node: str) -> str:
    """The subject for unicasts and requests to a server."""
    return f"{_ROOT}.to.{_token(node)}"


def broadcast_subject(notification: str) -> str:
    """The subject for broadcasts with a notification ID."""
    return f"{_ROOT}.all.{_token(notification)}"


def reply_subject(session: str, number: int | None = None) -> str:
    """The subject for the reply to an envelope; without a number, for all replies."""
    return f"{_ROOT}.re.{session}.{'*' if number is None else number}"


class Envelope(NamedTuple):
    """A message from one server to others.

    Attributes:
        kind: the type.
        node: the name of the sending server.
        session: the session ID of the sender.
        number: the number of the envelope in its session.
        head: all members of the head.
        body: the payload or the registrations.
    """

    kind: str
    node: str
    session: str
    number: int
    head: Mapping[str, object]
    body: bytes

    def integer(self, name: str) -> int:
        """An integer in the head.

        Raises:
            MalformedPayload: it is missing or invalid.
        """
        return _integer(self.head, name)

    def string(self, name: str) -> str:
        """A string in the head.

        Raises:
            MalformedPayload: it is missing or invalid.
        """
        return _string(self.head, name)


def _integer(head: Mapping[str, object], name: str) -> int:
    found = head.get(name)
    if type(found) is not int or found not in _NUMBERS:  # bool is a subclass of int
        raise MalformedPayload(
            f"the member {name!r} is missing, or not an integer in 0..{_NUMBERS[-1]}"
        )
    return found


def _string(head: Mapping[str, object], name: str) -> str:
    found = head.get(name)
    if not isinstance(found, str):
        raise MalformedPayload(f"the member {name!r} is missing, or not a string")
    return found


def encode_envelope(
    kind: str, node: str, session: str, number: int, body: bytes, head: dict[str, object]
) -> bytes:
    """Encodes an envelope."""
    members = {"type": kind, "node": node, "session": session, "number": number, **head}
    return b"%b\n%b" % (_write(members).encode(), body)


def decode_envelope(data: bytes) -> Envelope:
    """Decodes an envelope.

    Raises:
        MalformedPayload: it is malformed.
    """
    end = data.find(b"\n", 0, HEAD)
    if end < 0:
        raise MalformedPayload("the head is missing or too long")
    head = _head(data[:end])
    session = _string(head, "session")
    if not 0 < len(session) <= _LONGEST_SESSION or not (session.isascii() and session.isalnum()):
        raise MalformedPayload("the member 'session' must be letters and digits")
    return Envelope(
        _string(head, "type"),
        _checked(_string(head, "node")),
        session,
        _integer(head, "number"),
        head,
        data[end + 1 :],
    )


def _head(line: bytes) -> dict[str, object]:
    try:
        head = _read(line.decode())
    except (ValueError, RecursionError):  # not chained: its text contains the line
        raise MalformedPayload("the head is not JSON") from None
    if not isinstance(head, dict):
        raise MalformedPayload("the head is not an object")
    return head


def _checked(node: str) -> str:
    try:
        return check_id(node, "the member 'node'")
    except ValueError as error:
        raise MalformedPayload(str(error)) from None


def decode_notify(body: bytes) -> Notify:
    """Decodes the notification in the body of an envelope.

    Raises:
        MalformedPayload: the body is something else.
    """
    message = decode(body)
    if type(message) is not Notify:
        raise MalformedPayload("the body is not a notification")
    return message


def decode_observation(body: bytes) -> Observation:
    """Decodes the observation in the body of an envelope.

    Raises:
        MalformedPayload: the body is something else.
    """
    message = decode(body)
    if not isinstance(message, Observation):
        raise MalformedPayload("the body is not an observation")
    return message


# --- registrations --------------------------------------------------------------------------------


def encode_changes(changes: Iterable[Change]) -> Iterator[bytes]:
    """Encodes changes, in order, as one or more bodies of moderate size."""
    part: list[str] = []
    size = 0
    for change in changes:
        text = _write(_fields(change))
        if size > _PART:
            yield _body(part)
            part, size = [], 0
        part.append(text)
        size += len(text) * 4  # at most this many bytes
    yield _body(part)


def _body(part: list[str]) -> bytes:
    return f"[{','.join(part)}]".encode()


def _fields(change: Change) -> tuple[object, ...]:
    if isinstance(change, Registered):
        wish = change.wish
        return change.client, wish.to, wish.notification, change.age, wish.priority
    if isinstance(change, Withdrawn):
        return change.client, change.wish.to, change.wish.notification
    return (change.client,)


def decode_changes(body: bytes) -> list[Change]:
    """Decodes the changes in the body of an envelope.

    Raises:
        MalformedPayload: the body is something else.
    """
    try:
        found = json.loads(body)
        if not isinstance(found, list):
            raise MalformedPayload("the body is not a list")
        return [_change(fields) for fields in found]
    except MalformedPayload:
        raise
    except (ValueError, TypeError, RecursionError):
        raise MalformedPayload("the body does not contain registrations") from None


def _change(fields: Any) -> Change:
    if not isinstance(fields, list):
        raise TypeError
    if len(fields) == 5:
        client, to, notification, age, priority = fields
        wish = Register(_to(to), check_id(notification, "ID"), check_priority(priority))
        return Registered(_number(client), _number(age), wish)
    if len(fields) == 3:
        client, to, notification = fields
        return Withdrawn(_number(client), Unregister(_to(to), check_id(notification, "ID")))
    (client,) = fields
    return Departed(_number(client))


def _to(value: Any) -> str:
    return check_application(value, "ID")


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in _NUMBERS:
        raise TypeError
    return value
