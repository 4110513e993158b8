from __future__ import annotations

import re
from datetime import datetime

import pytest

from vfiipc.cli.filters import EVERYTHING, parse_filter
from vfiipc.codec import Message
from vfiipc.recording import Decoded, Gap

NOON = datetime(2026, 3, 1, 12, 0, 0, 6250).timestamp()


def _passes(line: str, data: bytes = b"", msg_id: int = 0, seconds: float | None = NOON) -> bool:
    return parse_filter(line).accepts(3, True, Decoded(0, Message(msg_id, data)), seconds)


def test_no_filter_passes_everything() -> None:
    assert parse_filter("") == EVERYTHING
    assert EVERYTHING.accepts(0, True, Gap(0, 1), None)
    assert EVERYTHING.accepts_event(1, None)


@pytest.mark.parametrize(
    ("line", "passing", "others"),
    [
        ("--id 7", [7], [6, 8, -7]),
        ("--id 1,5..9,-1", [1, 5, 9, -1], [0, 4, 10]),
        ("--id -3..-2", [-3, -2], [-4, -1]),
        ("--id 0x10", [16], [10]),
    ],
)
def test_ids(line: str, passing: list[int], others: list[int]) -> None:
    assert all(_passes(line, msg_id=number) for number in passing)
    assert not any(_passes(line, msg_id=number) for number in others)


@pytest.mark.parametrize(
    ("line", "data"),
    [
        ("ping", b"a ping"),
        ("^a 'p.*g$'", b"a p\ng"),
        ("--match '\\x00\\xff'", b"\x00\xff"),
        ("--json-match a=1", b'{"a": 1}'),
        ("--json-match a=1", b'{"a": 1.00}'),
        ("--json-match a=1", b'{"a": "1"}'),
        ('--json-match a="x=y"', b'{"a": "x=y"}'),
        ("""--json-match 'a="1"'""", b'{"a": "1"}'),
        ("--json-match a.b[1]=true", b'{"a": {"b": [0, true]}}'),
        ("--json-match a[*].b=tea", b'{"a": [{}, {"b": "tea"}]}'),
        ("""--json-match '["a.b"]=null'""", b'{"a.b": null}'),
        ("--json-match [0]=1", b"[1]"),
        ("--json-match a=12345678901234567890.1", b'{"a": 12345678901234567890.1}'),
    ],
)
def test_data_that_pass(line: str, data: bytes) -> None:
    assert _passes(line, data)


@pytest.mark.parametrize(
    ("line", "data"),
    [
        ("ping pong", b"ping"),
        ("--json-match a=1", b'{"a": true}'),
        ("--json-match a=true", b'{"a": 1}'),
        ("--json-match a=1", b'{"b": 1}'),
        ("--json-match a.b=1", b'{"a": 1}'),
        ("--json-match a[5]=1", b'{"a": [1]}'),
        ("""--json-match 'a="1"'""", b'{"a": 1}'),
        ("--json-match a=12345678901234567890.1", b'{"a": 12345678901234567890.2}'),
        ("--json-match a=1", b"\xff"),
        ("--json-match a=1", b"[" * 100_000),
        ("--json-match a=1", b'{"a": ' + b"1" * 5000 + b"}"),
        ("--json-match a=1", b'{"a": 1e99999999999999999999}'),
    ],
)
def test_data_that_do_not(line: str, data: bytes) -> None:
    assert not _passes(line, data)


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        ("--since 12:00", True),
        ("--since 12:00:00.00625", True),
        ("--since 12:00:00.006251", False),
        ("--until 12:00:00.00625", True),
        ("--until 12:00", False),
        ("--since 2026-03-01", True),
        ("--since 2026-03-01T12:00:01", False),
        ("--since 11:00 --until 13:00", True),
    ],
)
def test_times(line: str, passes: bool) -> None:
    assert _passes(line) is passes
    assert not _passes(line, seconds=None)
    assert not _passes(line, seconds=1e300)


def test_connections_and_sides() -> None:
    item = Decoded(0, Message(0, b""))
    assert parse_filter("--connection 3").accepts(3, True, item, None)
    assert not parse_filter("--connection 1,4").accepts(3, True, item, None)
    assert parse_filter("--from client").accepts(3, True, item, None)
    assert not parse_filter("--from server").accepts(3, True, item, None)


def test_what_is_not_a_message_passes_unless_messages_are_asked_for() -> None:
    gap = Gap(0, 1)
    assert parse_filter("--connection 3 --from client").accepts(3, True, gap, None)
    for line in ("--id 0", "--match ''", "--json-match a=1"):
        assert not parse_filter(line).accepts(3, True, gap, None)
        assert not parse_filter(line).accepts_event(3, None)
    assert parse_filter("--connection 3").accepts_event(3, None)
    assert not parse_filter("--connection 3").accepts_event(4, None)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--id x", "--id: 'x' is not a list of numbers; use 7, 5..9 or 1,5..9,-1"),
        ("--id 9..5", "--id: '9..5' is empty; put the smaller number first"),
        ("--id 2147483648", "--id: msg_id is 2147483648, but must be in"),
        ("--connection 0", "--connection: '0': connections are numbered from 1"),
        ("--connection 2,-1..3", "--connection: '2,-1..3': connections are numbered from 1"),
        ("--from left", "--from: invalid choice: 'left'"),
        ("(", "'(' is not a regular expression"),
        ("--match \ud800", "contains an unpaired surrogate"),
        ("--json-match a", "is not PATH=VALUE"),
        ("--json-match a..b=1", "is not PATH=VALUE"),
        ("--json-match =1", "is not PATH=VALUE"),
        ("--since soon", "'soon' is not a time; use 08:10"),
        ("--since 0001-01-01", "is not a time"),
        ("--sinc 08:00", "unrecognized arguments: --sinc"),
        ("'open", "No closing quotation"),
    ],
)
def test_what_cannot_be_right(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_filter(line)
