"""What servers send each other over a bus: subjects, and envelopes.

An envelope is one line of JSON, its head, and behind that a body: the payload of a notification,
unchanged, or registrations. Rules: ``spec/notify.md``, section 13.
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
#: Every server's heartbeats and changes.
REGISTRATIONS: Final = f"{_ROOT}.reg.*"
OBSERVATIONS: Final = f"{_ROOT}.seen"

#: The most bytes of a head, and of the body of an envelope with registrations.
HEAD: Final = 4096
REGISTRATIONS_BODY: Final = 64 * 1024
#: Bytes of registrations after which another envelope begins.
_PART: Final = 48 * 1024

_NUMBERS: Final = range(2**53)
_LONGEST_SESSION: Final = 64


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_write: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_read: Final = json.JSONDecoder(parse_constant=_refuse).decode


@lru_cache(maxsize=4096)  # a broadcast needs one each time
def _token(text: str) -> str:
    """An ID in a subject, where it may hold any character and have any length (NFY-G2)."""
    digest = hashlib.sha256(text.encode()).digest()
    return base64.b32encode(digest)[:26].decode()


def registrations_subject(node: str, asker: str | None = None) -> str:
    """Where a server tells of its registrations: to all, or to the one that has asked."""
    to = f".{_token(asker)}" if asker is not None else ""
    return f"{_ROOT}.reg.{_token(node)}{to}"


def snapshots_subject(asker: str) -> str:
    """Where a server gets what it has asked for, from any other."""
    return f"{_ROOT}.reg.*.{_token(asker)}"


def node_subject(node: str) -> str:
    """Where a server takes unicasts and questions."""
    return f"{_ROOT}.to.{_token(node)}"


def broadcast_subject(notification: str) -> str:
    """Where the broadcasts with a notification ID go."""
    return f"{_ROOT}.all.{_token(notification)}"


def reply_subject(session: str, number: int | None = None) -> str:
    """Where the reply to an envelope goes; without a number, where all replies go."""
    return f"{_ROOT}.re.{session}.{'*' if number is None else number}"


class Envelope(NamedTuple):
    """A message from one server to others.

    Attributes:
        kind: what it means.
        node: the name of the server that sends it.
        session: what that server calls its present life.
        number: counts the envelopes of a session.
        head: further members.
        body: what it brings.
    """

    kind: str
    node: str
    session: str
    number: int
    head: Mapping[str, object]
    body: bytes

    def integer(self, name: str) -> int:
        """A number of the head.

        Raises:
            MalformedPayload: it is missing, or something else.
        """
        return _integer(self.head, name)

    def string(self, name: str) -> str:
        """A string of the head.

        Raises:
            MalformedPayload: it is missing, or something else.
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
    """An envelope as it is sent."""
    members = {"type": kind, "node": node, "session": session, "number": number, **head}
    return b"%b\n%b" % (_write(members).encode(), body)


def decode_envelope(data: bytes) -> Envelope:
    """What has arrived.

    Raises:
        MalformedPayload: it is not an envelope.
    """
    end = data.find(b"\n", 0, HEAD)
    if end < 0:
        raise MalformedPayload("it has no head")
    head = _head(data[:end])
    session = _string(head, "session")
    if not 0 < len(session) <= _LONGEST_SESSION or not (session.isascii() and session.isalnum()):
        raise MalformedPayload("the member 'session' is not a word")
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
        raise MalformedPayload("its head is not JSON") from None
    if not isinstance(head, dict):
        raise MalformedPayload("its head is not an object")
    return head


def _checked(node: str) -> str:
    try:
        return check_id(node, "the member 'node'")
    except ValueError as error:
        raise MalformedPayload(str(error)) from None


def decode_notify(body: bytes) -> Notify:
    """The notification that an envelope brings.

    Raises:
        MalformedPayload: it brings something else.
    """
    message = decode(body)
    if type(message) is not Notify:
        raise MalformedPayload("the body is not a notification")
    return message


def decode_observation(body: bytes) -> Observation:
    """The observation that an envelope brings.

    Raises:
        MalformedPayload: it brings something else.
    """
    message = decode(body)
    if not isinstance(message, Observation):
        raise MalformedPayload("the body is not an observation")
    return message


# --- registrations --------------------------------------------------------------------------------


def encode_changes(changes: Iterable[Change]) -> Iterator[bytes]:
    """Bodies with all changes in order, each of a moderate size; one at least."""
    part: list[str] = []
    size = 0
    for change in changes:
        text = _write(_fields(change))
        if size > _PART:
            yield _body(part)
            part, size = [], 0
        part.append(text)
        size += len(text) * 4  # bytes, at most
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
    """The changes that an envelope brings.

    Raises:
        MalformedPayload: it brings something else.
    """
    try:
        found = json.loads(body)
        if not isinstance(found, list):
            raise MalformedPayload("the body is not a list")
        return [_change(fields) for fields in found]
    except MalformedPayload:
        raise
    except (ValueError, TypeError, RecursionError):
        raise MalformedPayload("the body does not hold registrations") from None


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
