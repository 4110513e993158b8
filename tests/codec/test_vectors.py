"""Every vector of ``spec/vectors``, through the codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.spec.vectors import (
    Case,
    as_bytes,
    as_messages,
    as_prefix,
    byte_by_byte,
    cut,
    load,
    random_cuts,
)
from vfiipc.codec import (
    HEADER,
    MESSAGE,
    Framer,
    Message,
    SyncLostError,
    encode,
    encode_header,
    encode_many,
)

FILES = load()
HEADER_SIZE = 12
JUDGED_SIZE = 8
RANDOM_CUTS = 6


# Senders


def refusal(case: Case, call: Callable[[], object]) -> bool:
    """Whether the case expects a refusal; then the call has been made, and was refused."""
    if "error" not in case:
        return False
    error = {"out-of-range": ValueError, "wrong-type": TypeError}[case["error"]["class"]]
    with pytest.raises(error, match=rf"^{case['error']['argument']}\b"):
        call()
    return True


def check_encode(case: Case) -> None:
    prefix, msg_id = as_prefix(case["prefix"]), case["msg_id"]
    data: Any = case["data"]
    if not isinstance(data, int):
        data = as_bytes(data)
    if refusal(case, lambda: encode(prefix, msg_id, data)):
        return
    expected = as_bytes(case["output"])
    assert encode(prefix, msg_id, data) == expected
    assert encode_header(prefix, msg_id, len(data)) + data == expected
    assert encode_many(prefix, [(msg_id, data)]) == expected
    fields = {"prefix": prefix, "size": 4 + len(data), "msg_id": msg_id}
    assert MESSAGE.build({**fields, "data": data}) == expected
    assert HEADER.build(fields) == expected[:HEADER_SIZE]
    parsed = MESSAGE.parse(expected)
    assert {name: parsed[name] for name in fields} == fields
    assert parsed.data == data
    framer = Framer(prefix, len(data), strict=True)
    framer.receive_data(expected)
    assert framer.next_message() == (msg_id, data)
    assert framer.pending == 0


def check_encode_header(case: Case) -> None:
    prefix, msg_id, data_size = as_prefix(case["prefix"]), case["msg_id"], case["data_size"]
    if refusal(case, lambda: encode_header(prefix, msg_id, data_size)):
        return
    expected = as_bytes(case["output"])
    assert encode_header(prefix, msg_id, data_size) == expected
    fields = {"prefix": prefix, "size": 4 + data_size, "msg_id": msg_id}
    assert HEADER.build(fields) == expected
    parsed = HEADER.parse(expected)
    assert {name: parsed[name] for name in fields} == fields


def check_encode_many(case: Case) -> None:
    prefix, messages = as_prefix(case["prefix"]), as_messages(case["messages"])
    if refusal(case, lambda: encode_many(prefix, messages)):
        return
    expected = as_bytes(case["output"])
    assert encode_many(prefix, messages) == expected
    assert b"".join(encode(prefix, *message) for message in messages) == expected


# Receivers


def check_receiver(case: Case) -> None:
    prefix, limit = as_prefix(case["prefix"]), case["limit"]
    if refusal(case, lambda: Framer(prefix, limit)):
        return
    framer = Framer(prefix, limit)
    assert (framer.prefix, framer.size_limit, framer.strict) == (prefix, limit, False)


Answer = tuple[list[Message], SyncLostError | None]


def ask_one_by_one(framer: Framer) -> Answer:
    messages = []
    try:
        while (message := framer.next_message()) is not None:
            messages.append(message)
    except SyncLostError as error:
        return messages, error
    return messages, None


def ask_for_all(framer: Framer) -> Answer:
    messages = []
    try:
        while more := framer.drain():
            messages += more
    except SyncLostError as error:
        return messages, error
    return messages, None


ASK = (ask_one_by_one, ask_for_all)


def ways_to_arrive(case: Case, stream: bytes) -> list[list[bytes]]:
    ways = [[stream], byte_by_byte(stream), *random_cuts(stream, case["id"], RANDOM_CUTS)]
    return [*ways, cut(stream, case["chunks"])] if "chunks" in case else ways


def check_decode(case: Case) -> None:
    stream = as_bytes(case["input"])
    for ask in ASK:
        for pieces in ways_to_arrive(case, stream):
            framer = Framer(as_prefix(case["prefix"]), case["limit"], strict=case["strict"])
            messages, fed, error = [], 0, None
            for piece in pieces:
                framer.receive_data(piece)
                fed += len(piece)
                more, error = ask(framer)
                messages += more
                if error is not None:
                    break
            assert messages == as_messages(case["messages"])
            assert framer.discarded == case["discarded"]
            check_outcome(case, framer, error, fed)
        if "error" in case:
            check_found_in_one_piece(case, stream, ask)


def check_outcome(case: Case, framer: Framer, error: SyncLostError | None, fed: int) -> None:
    if "error" not in case:
        assert error is None
        assert framer.pending == case["pending"]
        return
    assert error is not None
    assert error.position == case["error"]["position"]
    assert framer.pending == fed - error.position
    found = as_bytes(case["error"]["found"])
    assert found.startswith(error.found)
    assert len(error.found) >= bytes_to_the_fault(case, found)
    assert len(error.found) <= framer.pending


def bytes_to_the_fault(case: Case, found: bytes) -> int:
    """How many must have been found: up to the byte that is out of place, or the whole size."""
    mark = as_bytes(case["prefix"])
    equal = [first == second for first, second in zip(mark, found)]
    return equal.index(False) + 1 if False in equal else JUDGED_SIZE


def check_found_in_one_piece(case: Case, stream: bytes, ask: Callable[[Framer], Answer]) -> None:
    framer = Framer(as_prefix(case["prefix"]), case["limit"], strict=True)
    framer.receive_data(stream)
    _, error = ask(framer)
    assert error is not None
    assert error.found == as_bytes(case["error"]["found"])
    assert framer.pending == case["pending"]


# Sequences


def step_feed(framer: Framer, step: Case) -> None:
    framer.receive_data(as_bytes(step["bytes"]))


def step_feed_byte_by_byte(framer: Framer, step: Case) -> None:
    for piece in byte_by_byte(as_bytes(step["bytes"])):
        framer.receive_data(piece)


def step_next(framer: Framer, step: Case) -> None:
    message = framer.next_message()
    assert message == (as_messages([step["message"]])[0] if step["message"] is not None else None)


def step_drain(framer: Framer, step: Case) -> None:
    messages = framer.drain()
    assert messages == as_messages(step["messages"])


def step_take(framer: Framer, step: Case) -> None:
    expected = as_bytes(step["bytes"])
    assert framer.peek(step["count"]) == expected
    assert framer.take(step["count"]) == expected


def step_set(framer: Framer, step: Case) -> None:
    if "prefix" in step:
        framer.prefix = as_prefix(step["prefix"])
    if "limit" in step:
        framer.size_limit = step["limit"]
    if "strict" in step:
        framer.strict = step["strict"]


def step_check(framer: Framer, step: Case) -> None:
    assert (framer.discarded, framer.pending) == (step["discarded"], step["pending"])


def step_wanted(framer: Framer, step: Case) -> None:
    assert framer.bytes_wanted() == step["count"]


Steps = dict[str, Callable[[Framer, Case], None]]
STEPS: Steps = {
    "feed": step_feed,
    "next": step_next,
    "drain": step_drain,
    "take": step_take,
    "set": step_set,
    "check": step_check,
    "wanted": step_wanted,
}


def check_step(steps: Steps, framer: Framer, step: Case) -> None:
    run = steps[step["do"]]
    if step.get("error", {}).get("class") == "sync-lost":
        with pytest.raises(SyncLostError) as caught:
            run(framer, step)
        expected = (step["error"]["position"], as_bytes(step["error"]["found"]))
        assert (caught.value.position, caught.value.found) == expected
    elif not refusal(step, lambda: run(framer, step)):
        run(framer, step)


def check_sequence(case: Case) -> None:
    byte_by_byte_steps: Steps = {**STEPS, "feed": step_feed_byte_by_byte}
    for steps in (STEPS, byte_by_byte_steps):
        framer = Framer(as_prefix(case["prefix"]), case["limit"], strict=case["strict"])
        for step in case["steps"]:
            check_step(steps, framer, step)


KINDS: dict[str, Callable[[Case], None]] = {
    "encode": check_encode,
    "encode-header": check_encode_header,
    "encode-many": check_encode_many,
    "receiver": check_receiver,
    "decode": check_decode,
    "sequence": check_sequence,
}


PARAMETERS = [pytest.param(case, id=case["id"]) for file in FILES for case in file.cases]


@pytest.mark.parametrize("case", PARAMETERS)
def test_vector(case: Case) -> None:
    KINDS[case["kind"]](case)


def test_the_files_have_as_many_cases_as_they_say_and_all_are_run() -> None:
    assert all(0 < file.declared == len(file.cases) for file in FILES)
    assert len(PARAMETERS) == sum(file.declared for file in FILES) >= 110
    assert len({parameter.id for parameter in PARAMETERS}) == len(PARAMETERS)
