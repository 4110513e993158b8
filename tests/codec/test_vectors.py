"""Every vector of ``spec/vectors`` that needs no stream to write to, through the codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.spec.runner import RECEIVER_KINDS, refusal
from tests.spec.vectors import Case, as_bytes, as_messages, as_prefix, load
from vfiipc.codec import HEADER, MESSAGE, Framer, encode, encode_header, encode_many

FILES = load()
HEADER_SIZE = 12


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


SENDER_KINDS: dict[str, Callable[[Case], None]] = {
    "encode": check_encode,
    "encode-header": check_encode_header,
    "encode-many": check_encode_many,
}
# tests/spec/test_senders.py runs those of the kind "send".
PARAMETERS = [
    # Offsets above 2**32 need as many bytes.
    pytest.param(case, id=case["id"], marks=[pytest.mark.long] * (file.group == "offsets"))
    for file in FILES
    for case in file.cases
    if case["kind"] != "send"
]


@pytest.mark.parametrize("case", PARAMETERS)
def test_vector(case: Case) -> None:
    if case["kind"] in SENDER_KINDS:
        SENDER_KINDS[case["kind"]](case)
    else:
        RECEIVER_KINDS[case["kind"]](case, Framer)


def test_the_files_have_as_many_cases_as_they_say_and_all_are_run() -> None:
    assert all(0 < file.declared == len(file.cases) for file in FILES)
    sends = sum(case["kind"] == "send" for file in FILES for case in file.cases)
    assert len(PARAMETERS) + sends == sum(file.declared for file in FILES) >= 110
    assert len({parameter.id for parameter in PARAMETERS}) == len(PARAMETERS)
