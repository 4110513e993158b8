"""The public strategies: what they promise, and that they find what they are there to find."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from operator import eq
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from vfiipc.codec import HEADER, Framer, Message, SyncLostError, encode, encode_header
from vfiipc.testing import Stream, chunked, garbage, messages, msg_ids, prefixes, streams

Example = TypeVar("Example")

LIMIT = 20


def received(stream: Stream) -> tuple[list[Message], int, int]:
    framer = Framer(stream.prefix, stream.size_limit)
    framer.receive_data(stream.data)
    return framer.drain(), framer.discarded, framer.pending


@pytest.mark.parametrize("false_headers", [False, True])
@given(data=st.data())
def test_streams_say_what_comes_out(false_headers: bool, data: st.DataObject) -> None:  # FRM-C4
    stream = data.draw(streams(false_headers=false_headers))
    assert received(stream) == (stream.messages, stream.discarded, stream.pending)
    delivered = sum(HEADER.sizeof() + len(message.data) for message in stream.messages)
    assert delivered + stream.discarded + stream.pending == len(stream.data)
    assert all(len(message.data) <= stream.size_limit for message in stream.messages)


@given(stream=streams())
def test_strict_without_a_fault_is_lenient(stream: Stream) -> None:  # FRM-C5
    framer = Framer(stream.prefix, stream.size_limit, strict=True)
    framer.receive_data(stream.data)
    found: list[Message] = []
    try:
        while batch := framer.drain():
            found += batch
    except SyncLostError:
        assert found == stream.messages[: len(found)]
    else:
        assert (found, framer.discarded) == (stream.messages, 0)
        assert (stream.discarded, stream.pending) == (0, framer.pending)


@given(data=st.data())
def test_streams_keep_to_the_parameters_given(data: st.DataObject) -> None:
    prefix, size_limit = data.draw(prefixes()), data.draw(st.integers(0, 100))
    stream = data.draw(streams(prefix, size_limit, false_headers=False, max_parts=2))
    assert (stream.prefix, stream.size_limit) == (prefix, size_limit)
    assert len(stream.messages) <= 2


@given(data=st.data())
def test_garbage_without_false_headers_harms_no_message(data: st.DataObject) -> None:
    prefix = data.draw(prefixes())
    before = data.draw(garbage(prefix, size_limit=LIMIT))
    message = data.draw(messages(prefix, max_size=LIMIT))
    framer = Framer(prefix, LIMIT)
    framer.receive_data(before + encode(prefix, *message))
    assert framer.drain() == [message]
    assert (framer.discarded, framer.pending) == (len(before), 0)


@given(data=st.data())
def test_chunks_joined_are_the_data(data: st.DataObject) -> None:
    stream = data.draw(st.binary(max_size=40))
    assert b"".join(data.draw(chunked(stream))) == stream


@given(data=st.data())
def test_messages_keep_to_the_size_given(data: st.DataObject) -> None:
    message = data.draw(messages(data.draw(st.none() | prefixes()), max_size=7))
    assert isinstance(message, Message)
    assert len(message.data) <= 7


def finds(strategy: st.SearchStrategy[Example], wanted: Callable[[Example], bool]) -> None:
    calm = settings(
        max_examples=5_000,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    find(strategy, wanted, settings=calm)


PREFIX = 0xABABABAB
MARK = encode_header(PREFIX, 0, 0)[:4]

STREAMS: dict[str, Callable[[Stream], bool]] = {
    "garbage between messages": lambda stream: len(stream.messages) > 1 and stream.discarded > 0,
    "an end inside a message": lambda stream: stream.pending > HEADER.sizeof(),
    "the greatest data": lambda stream: any(
        len(message.data) == stream.size_limit > 0 for message in stream.messages
    ),
    "a prefix in data": lambda stream: any(MARK in message.data for message in stream.messages),
    "a bad header in garbage": lambda stream: (
        stream.data.startswith(MARK) and stream.discarded == len(stream.data)
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("wanted", STREAMS.values(), ids=STREAMS.keys())
def test_sent_streams_have_what_troubles_receivers(wanted: Callable[[Stream], bool]) -> None:
    finds(streams(PREFIX, false_headers=False), wanted)


def test_streams_with_false_headers_have_them() -> None:
    def swallows(stream: Stream) -> bool:
        return any(MARK in encode(PREFIX, *message)[1:] for message in stream.messages)

    finds(streams(PREFIX, LIMIT, false_headers=True), swallows)
    finds(
        garbage(PREFIX, size_limit=LIMIT, false_headers=True), lambda data: MARK + bytes(3) in data
    )


def test_both_ends_of_the_ranges_occur() -> None:
    for number in (-(2**31), 2**31 - 1):
        finds(msg_ids(), partial(eq, number))
    for prefix in (0, 2**32 - 1):
        finds(prefixes(), partial(eq, prefix))
    finds(prefixes(), lambda prefix: prefix % 0x01010101 == 0 < prefix < 2**32 - 1)


def test_chunks_of_every_kind_occur() -> None:
    data = bytes(range(6))
    finds(chunked(data), lambda chunks: chunks == [data])
    finds(chunked(data), lambda chunks: [len(chunk) for chunk in chunks] == [1] * 6)
    finds(chunked(data), lambda chunks: b"" in chunks[1:-1])


@pytest.mark.parametrize("name", ["streams", "check_framer"])
def test_without_hypothesis_the_import_says_what_to_install(name: str) -> None:
    code = f"import sys; sys.modules['hypothesis'] = None; from vfiipc.testing import {name}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: vfiipc.testing.{name} needs hypothesis; "
        "in a clone: pip install '.[testing]'"
    )


def test_a_scripted_peer_does_without_hypothesis() -> None:
    code = "import sys; sys.modules['hypothesis'] = None; from vfiipc.testing import ScriptedPeer"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)
