"""Runs the cases about receivers, as ``spec/vectors/README.md`` says, with any receiver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.codec.model import Model
from tests.spec.vectors import (
    Case,
    as_bytes,
    as_messages,
    as_prefix,
    byte_by_byte,
    cut,
    random_cuts,
)
from vfiipc.codec import Framer, Message, SyncLostError

PREFIX_AND_SIZE = 8
RANDOM_CUTS = 6

Receiver = Framer | Model
#: Makes a receiver from prefix, limit, and the keyword ``strict``.
Make = Callable[..., Receiver]


def refusal(case: Case, call: Callable[[], object]) -> bool:
    """Whether the case expects a refusal; then the call has been made, and was refused."""
    if "error" not in case:
        return False
    error = {"out-of-range": ValueError, "wrong-type": TypeError}[case["error"]["class"]]
    with pytest.raises(error, match=rf"^{case['error']['argument']}\b"):
        call()
    return True


def check_receiver(case: Case, make: Make) -> None:
    prefix, limit = as_prefix(case["prefix"]), case["limit"]
    if refusal(case, lambda: make(prefix, limit)):
        return
    receiver = make(prefix, limit)
    assert (receiver.prefix, receiver.size_limit, receiver.strict) == (prefix, limit, False)


# Streams

Answer = tuple[list[Message], SyncLostError | None]
Ask = Callable[[Receiver], Answer]


def ask_one_by_one(receiver: Receiver) -> Answer:
    messages = []
    try:
        while (message := receiver.next_message()) is not None:
            messages.append(message)
    except SyncLostError as error:
        return messages, error
    return messages, None


def ask_for_all(receiver: Receiver) -> Answer:
    messages = []
    try:
        while more := receiver.drain():
            messages += more
    except SyncLostError as error:
        return messages, error
    return messages, None


def ways_to_arrive(case: Case, stream: bytes) -> list[list[bytes]]:
    ways = [[stream], byte_by_byte(stream), *random_cuts(stream, case["id"], RANDOM_CUTS)]
    return [*ways, cut(stream, case["chunks"])] if "chunks" in case else ways


def check_decode(case: Case, make: Make) -> None:
    stream = as_bytes(case["input"])
    for ask in (ask_one_by_one, ask_for_all):
        for pieces in ways_to_arrive(case, stream):
            receiver = make(as_prefix(case["prefix"]), case["limit"], strict=case["strict"])
            messages, fed, error = [], 0, None
            for piece in pieces:
                receiver.receive_data(piece)
                fed += len(piece)
                more, error = ask(receiver)
                messages += more
                if error is not None:
                    break
            assert messages == as_messages(case["messages"])
            assert receiver.discarded == case["discarded"]
            check_outcome(case, receiver, error, fed)
        if "error" in case:
            check_found_in_one_piece(case, stream, ask, make)


def check_outcome(case: Case, receiver: Receiver, error: SyncLostError | None, fed: int) -> None:
    if "error" not in case:
        assert error is None
        assert receiver.pending == case["pending"]
        return
    assert error is not None
    assert error.position == case["error"]["position"]
    assert receiver.pending == fed - error.position
    found = as_bytes(case["error"]["found"])
    assert found.startswith(error.found)
    assert len(error.found) >= bytes_to_the_fault(case, found)
    assert len(error.found) <= receiver.pending


def bytes_to_the_fault(case: Case, found: bytes) -> int:
    """How many must have been found: up to the byte that is out of place, or the whole size."""
    mark = as_bytes(case["prefix"])
    equal = [first == second for first, second in zip(mark, found)]
    return equal.index(False) + 1 if False in equal else PREFIX_AND_SIZE


def check_found_in_one_piece(case: Case, stream: bytes, ask: Ask, make: Make) -> None:
    receiver = make(as_prefix(case["prefix"]), case["limit"], strict=True)
    receiver.receive_data(stream)
    _, error = ask(receiver)
    assert error is not None
    assert error.found == as_bytes(case["error"]["found"])
    assert receiver.pending == case["pending"]


# Sequences


def step_feed(receiver: Receiver, step: Case) -> None:
    receiver.receive_data(as_bytes(step["bytes"]))


def step_feed_byte_by_byte(receiver: Receiver, step: Case) -> None:
    data = as_bytes(step["bytes"])
    for piece in byte_by_byte(data) or [data]:
        receiver.receive_data(piece)


def step_next(receiver: Receiver, step: Case) -> None:
    message = receiver.next_message()
    assert message == (as_messages([step["message"]])[0] if step["message"] is not None else None)


def step_drain(receiver: Receiver, step: Case) -> None:
    messages = receiver.drain()
    assert messages == as_messages(step["messages"])


def step_take(receiver: Receiver, step: Case) -> None:
    expected = as_bytes(step["bytes"])
    assert receiver.peek(step["count"]) == expected
    assert receiver.take(step["count"]) == expected


def step_set(receiver: Receiver, step: Case) -> None:
    if "prefix" in step:
        receiver.prefix = as_prefix(step["prefix"])
    if "limit" in step:
        receiver.size_limit = step["limit"]
    if "strict" in step:
        receiver.strict = step["strict"]


def step_check(receiver: Receiver, step: Case) -> None:
    assert (receiver.discarded, receiver.pending) == (step["discarded"], step["pending"])


def step_wanted(receiver: Receiver, step: Case) -> None:
    assert receiver.bytes_wanted() == step["count"]


def step_repeat(receiver: Receiver, step: Case) -> None:
    """Its feeds are in bulk and arrive as they are; their bytes are made once."""
    steps = [{**part, **_made(part)} for part in step["steps"]]
    for _ in range(step["count"]):
        for part in steps:
            STEPS[part["do"]](receiver, part)


def _made(step: Case) -> dict[str, Any]:
    return {"bytes": as_bytes(step["bytes"])} if "bytes" in step else {}


Steps = dict[str, Callable[[Receiver, Case], None]]
STEPS: Steps = {
    "feed": step_feed,
    "next": step_next,
    "drain": step_drain,
    "take": step_take,
    "set": step_set,
    "check": step_check,
    "wanted": step_wanted,
    "repeat": step_repeat,
}
BYTE_BY_BYTE: Steps = {**STEPS, "feed": step_feed_byte_by_byte}


def check_step(steps: Steps, receiver: Receiver, step: Case) -> None:
    run = steps[step["do"]]
    if step.get("error", {}).get("class") == "sync-lost":
        with pytest.raises(SyncLostError) as caught:
            run(receiver, step)
        expected = (step["error"]["position"], as_bytes(step["error"]["found"]))
        assert (caught.value.position, caught.value.found) == expected
    elif not refusal(step, lambda: run(receiver, step)):
        run(receiver, step)


def check_sequence(case: Case, make: Make) -> None:
    in_bulk = any(step["do"] == "repeat" for step in case["steps"])
    for steps in (STEPS,) if in_bulk else (STEPS, BYTE_BY_BYTE):
        receiver = make(as_prefix(case["prefix"]), case["limit"], strict=case["strict"])
        for step in case["steps"]:
            check_step(steps, receiver, step)


RECEIVER_KINDS: dict[str, Callable[[Case, Make], None]] = {
    "receiver": check_receiver,
    "decode": check_decode,
    "sequence": check_sequence,
}
