"""The vectors about senders that write to a stream: through ``Loopback``, and what they notice."""

from __future__ import annotations

from typing import Protocol

import pytest

from tests.spec.vectors import Case, all_cases, as_bytes, as_prefix
from vfiipc import Loopback, loopback_pair

CASES = [case for case in all_cases() if case["kind"] == "send"]

Messages = list[tuple[int, bytes]]


class Sender(Protocol):
    """What a case asks of a sender and of its stream."""

    def room(self, count: int) -> None: ...

    def send(self, messages: Messages) -> bool: ...

    def written(self) -> bytes: ...


def check_send(case: Case, sender: Sender) -> None:
    for step in case["steps"]:
        if step["do"] == "room":
            sender.room(step["count"])
        elif step["do"] == "send":
            messages = [(part["msg_id"], as_bytes(part["data"])) for part in step["messages"]]
            if "error" in step:
                with pytest.raises(ValueError, match=rf"^{step['error']['argument']}\b"):
                    sender.send(messages)
            else:
                assert sender.send(messages) == step["sent"]
        else:
            assert step["do"] == "written"
            allowed = step["one_of"] if "one_of" in step else [step["bytes"]]
            assert sender.written() in [as_bytes(value) for value in allowed]


class OverLoopback:
    """The library's sender. A message alone goes through ``write_msg``, several at once do not."""

    def __init__(self, prefix: int) -> None:
        self.prefix = prefix
        self.ends: tuple[Loopback, Loopback] | None = None
        self.capacity = 0

    def room(self, count: int) -> None:
        """Once everything written was read, there is as much room as at first."""
        if self.ends is None:
            self.ends, self.capacity = loopback_pair(capacity=count), count
        assert count == self.capacity

    def send(self, messages: Messages) -> bool:
        assert self.ends is not None
        if len(messages) == 1:
            return self.ends[0].write_msg(self.prefix, *messages[0], timeout_msec=0)
        return self.ends[0].write_msgs(self.prefix, messages, timeout_msec=0)

    def written(self) -> bytes:
        assert self.ends is not None
        return self.ends[1].read(self.capacity, 0)

    def close(self) -> None:
        for end in self.ends or ():
            end.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_library_passes_the_vector(case: Case) -> None:
    sender = OverLoopback(as_prefix(case["prefix"]))
    try:
        check_send(case, sender)
    finally:
        sender.close()


# Senders that are wrong in one way each


class Plain:
    """Written from the specification: encodes message by message, gives up when cut short."""

    def __init__(self, prefix: int) -> None:
        self.prefix = prefix
        self.left = 0
        self.stream = bytearray()
        self.cut_short = False

    def room(self, count: int) -> None:
        self.left = count

    def send(self, messages: Messages) -> bool:
        return all(self.send_one(*message) for message in messages)

    def send_one(self, msg_id: int, data: bytes) -> bool:
        return not self.cut_short and self.write(self.encoded(msg_id, data))  # FRM-S5

    def encoded(self, msg_id: int, data: bytes) -> bytes:
        if not -(2**31) <= msg_id < 2**31:
            raise ValueError("msg_id is out of range")  # FRM-S3
        fields = self.prefix, 4 + len(data), msg_id % 2**32
        return b"".join(field.to_bytes(4, "big") for field in fields) + data

    def write(self, data: bytes) -> bool:
        taken = data[: self.left]
        self.stream += taken
        self.left -= len(taken)
        self.cut_short = 0 < len(taken) < len(data)
        return len(taken) == len(data)

    def written(self) -> bytes:
        written = bytes(self.stream)
        self.stream.clear()
        return written


class WritesBehindCutMessage(Plain):
    def send_one(self, msg_id: int, data: bytes) -> bool:
        return self.write(self.encoded(msg_id, data))


class ContinuesCutMessage(Plain):
    """Owes the rest and pays it with the next message, of which the application knows nothing."""

    owed = b""

    def send_one(self, msg_id: int, data: bytes) -> bool:
        whole = self.owed + self.encoded(msg_id, data)
        self.owed = whole[self.left :]
        return self.write(whole)


class WritesHeaderBeforeRefusing(Plain):
    def send_one(self, msg_id: int, data: bytes) -> bool:
        try:
            return super().send_one(msg_id, data)
        except ValueError:
            self.write(self.encoded(0, b"")[:8])
            raise


class WritesBehindRefusedMessage(Plain):
    def send(self, messages: Messages) -> bool:
        refused = None
        for message in messages:
            try:
                self.send_one(*message)
            except ValueError as error:
                refused = error
        if refused is not None:
            raise refused
        return not self.cut_short


class WrapsId(Plain):
    def encoded(self, msg_id: int, data: bytes) -> bytes:
        return super().encoded((msg_id + 2**31) % 2**32 - 2**31, data)


class Greets(Plain):
    def room(self, count: int) -> None:
        super().room(count)
        self.write(b"\n")


class EndsMessagesWithNewline(Plain):
    def encoded(self, msg_id: int, data: bytes) -> bytes:
        return super().encoded(msg_id, data) + b"\n"


MUTANTS = Plain.__subclasses__()


def notices(case: Case, kind: type[Plain]) -> bool:
    try:
        check_send(case, kind(as_prefix(case["prefix"])))
    except (AssertionError, pytest.fail.Exception):
        return True
    return False


def test_a_plain_sender_passes_every_vector() -> None:
    assert CASES
    assert [case["id"] for case in CASES if notices(case, Plain)] == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda kind: kind.__name__)
def test_a_vector_notices_the_mutant(mutant: type[Plain]) -> None:
    assert any(notices(case, mutant) for case in CASES)
