"""What a script expects, in which order, and how it tells what differs."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfiipc import Message
from vfiipc.testing import Expectation
from vfiipc.testing.matching import ANYTHING, criteria, shown
from vfiipc.testing.problems import Received, explain_unexpected
from vfiipc.testing.script import Script


def expectation(
    data: Any = None, connection: int | None = None, msg_id: int | None = None, **json_: Any
) -> Expectation:
    whole, subset = json_.get("json", ANYTHING), json_.get("json_subset", ANYTHING)
    return Expectation(criteria(data, msg_id, whole, subset), connection, "test.py:1")


def script(*expectations: Expectation) -> Script:
    made = Script()
    made.expectations += expectations
    return made


def takes(made: Script, sent: str, connection: int = 1) -> str:
    """Which expectation each message meets: its number, or - for none."""
    numbers = {None: "-"} | {e: str(at) for at, e in enumerate(made.expectations, 1)}
    return "".join(numbers[made.take(Message(0, m.encode()), connection)] for m in sent)


def differences(wanted: Expectation, data: bytes, msg_id: int = 0) -> list[str]:
    return wanted.differences(Message(msg_id, data))


class TestOrder:
    def test_one_after_another(self) -> None:
        made = script(expectation(b"a"), expectation(b"b"))
        assert takes(made, "baab") == "-1-2"
        assert made.unmet() == []

    def test_any_order(self) -> None:
        made = script(expectation(b"a"), expectation(b"x").any_order(), expectation(b"b"))
        assert takes(made, "axxb") == "12-3"
        made = script(expectation(b"a"), expectation(b"x").any_order())
        assert takes(made, "xa") == "21"

    def test_times(self) -> None:
        made = script(expectation(b"a").times(2), expectation(b"b"))
        assert takes(made, "abaab") == "1-1-2"

    def test_a_range_of_times_ends_with_what_follows(self) -> None:
        made = script(expectation(b"a").times(0, math.inf), expectation(b"b"))
        assert takes(made, "aaba") == "112-"
        assert script(expectation(b"a").times(0, 3), expectation(b"b")).unmet()[0].least == 1

    def test_each_connection_has_an_order_of_its_own(self) -> None:
        made = script(
            expectation(b"a", 1), expectation(b"a", 2), expectation(b"b", 2), expectation(b"b", 1)
        )
        assert takes(made, "a", 2) == "2"
        assert takes(made, "b", 2) == "3"
        assert takes(made, "b", 1) == "-"
        assert takes(made, "ab", 1) == "14"

    @given(st.permutations(list("abcdef")))
    def test_any_order_takes_every_order(self, order: list[str]) -> None:
        made = script(*[expectation(c.encode()).any_order() for c in "abcdef"])
        assert sorted(takes(made, "".join(order))) == list("123456")
        assert made.unmet() == []

    @pytest.mark.parametrize("wrong", [(-1,), (0,), (2, 1), (0, 0), (math.inf,)])
    def test_times_that_cannot_be(self, wrong: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="0 <= least <= most"):
            expectation().times(*wrong)

    def test_times_are_whole(self) -> None:
        with pytest.raises(TypeError, match="least must be an int, not float"):
            expectation().times(2.5)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="least must be an int, not str"):
            expectation().times("3")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="most must be an int, not str"):
            expectation().times(1, "3")  # type: ignore[arg-type]

    def test_a_speed_is_finite(self) -> None:
        with pytest.raises(ValueError, match="above 0 and finite"):
            expectation().answer(b"x").slow(math.inf)


class TestCriteria:
    def test_without_any_every_message_fits(self) -> None:
        assert differences(expectation(), b"whatever", -5) == []

    def test_ids(self) -> None:
        assert differences(expectation(msg_id=2), b"", 2) == []
        assert differences(expectation(msg_id=2), b"", 3) == ["msg_id: expected 2, got 3"]

    @pytest.mark.parametrize(
        ("wanted", "came", "difference"),
        [
            (b"hello", b"hallo", "data: at byte 1, expected b'hello', got b'hallo'"),
            (
                b"hello",
                b"hell",
                "data: expected 5 bytes, got 4; from byte 4 on, b'o' is missing",
            ),
            (
                b"hello",
                b"hello!",
                "data: expected 5 bytes, got 6; from byte 5 on, b'!' is extra",
            ),
            (
                bytes(100) + b"A" + bytes(100),
                bytes(201),
                f"data: at byte 100, expected {bytes(12) + b'A' + bytes(11)!r}, got {bytes(24)!r}",
            ),
        ],
    )
    def test_bytes(self, wanted: bytes, came: bytes, difference: str) -> None:
        assert differences(expectation(wanted), wanted) == []
        assert differences(expectation(memoryview(wanted)), came) == [difference]

    def test_patterns_match_from_end_to_end(self) -> None:
        wanted = expectation(re.compile(b"beep.*"))
        assert differences(wanted, b"beep 1") == []
        assert differences(wanted, b"a beep") == ["data: b'a beep' does not fully match b'beep.*'"]

    def test_predicates(self) -> None:
        wanted = expectation(bytes.isdigit)
        assert differences(wanted, b"12") == []
        assert differences(wanted, b"x") == ["data: bytes.isdigit returned False for b'x'"]
        wanted = expectation(json=lambda value: value["a"] > 1)
        assert differences(wanted, b'{"a": 2}') == []
        assert "<lambda> returned False for {'a': 1}" in differences(wanted, b'{"a": 1}')[0]

    @pytest.mark.parametrize(
        ("wanted", "came", "whole", "subset"),
        [
            ({"a": 1}, {"a": 2}, ["$.a: expected 1, got 2"], ["$.a: expected 1, got 2"]),
            ({"a": 1}, {"a": 1, "b": 2}, ["$.b: not expected, got 2"], []),
            ({"a": [1, 2]}, {"a": [1]}, *[["$.a: expected 2 items, got 1"]] * 2),
            ({"a": {"b": 1}}, {"a": {}}, *[["$.a.b: expected 1, but is missing"]] * 2),
            ([1, {"a": None}], [1, {"a": 0}], *[["$[1].a: expected None, got 0"]] * 2),
            (1, True, *[["$: expected 1, got True"]] * 2),
            (None, None, [], []),
        ],
    )
    def test_json(self, wanted: Any, came: Any, whole: list[str], subset: list[str]) -> None:
        data = json.dumps(came).encode()
        assert differences(expectation(json=wanted), data) == whole
        assert differences(expectation(json_subset=wanted), data) == subset

    def test_what_is_not_json(self) -> None:
        (line,) = differences(expectation(json={}), b"\xff")
        assert line.startswith("json: the data is not JSON (")
        assert line.endswith("): b'\\xff'")

    def test_few_of_many_differences_are_shown(self) -> None:
        wanted = expectation(json=list(range(10)))
        assert differences(wanted, json.dumps([9] * 10).encode())[-1] == "and 5 more differences"

    def test_large_data_is_elided(self) -> None:
        text = shown(Message(1, b"x" * 100_000))
        assert text.startswith("msg_id 1, 100,000 bytes: b'xxx")
        assert len(text) < 120
        assert len(str(expectation(b"x" * 100_000))) < 120

    def test_wrong_arguments(self) -> None:
        with pytest.raises(TypeError, match="not str"):
            expectation("text")
        with pytest.raises(TypeError, match="bytes pattern"):
            expectation(re.compile("text"))
        with pytest.raises(ValueError, match="msg_id is 2147483648"):
            expectation(msg_id=2**31)


class TestNearestMiss:
    def explain(self, made: Script, data: bytes, msg_id: int = 0) -> list[str]:
        return explain_unexpected(made, Received(1, Message(msg_id, data))).splitlines()

    def test_one_expectation(self) -> None:
        made = script(expectation(b"hello", msg_id=2))
        assert self.explain(made, b"hallo", 2) == [
            "received an unexpected message",
            "  expected: #1 expect(msg_id=2, data=b'hello') (test.py:1)",
            "  received: msg_id 2, 5 bytes: b'hallo' (connection 1)",
            "    data: at byte 1, expected b'hello', got b'hallo'",
        ]

    def test_several_show_the_nearest(self) -> None:
        made = script(
            expectation(b"one", msg_id=1).any_order(), expectation(b"two", msg_id=2).any_order()
        )
        lines = self.explain(made, b"two", 3)
        assert lines[1] == "  expected: one of 2 messages, see the script"
        assert lines[3:] == [
            "  closest:  #2 expect(msg_id=2, data=b'two').any_order() (test.py:1)",
            "    msg_id: expected 2, got 3",
        ]

    @pytest.mark.parametrize(
        ("before", "data", "reason"),
        [
            ("a", b"a", "which was already met once; times(...) allows more"),
            ("", b"b", "which comes later in the script; any_order() allows it at any time"),
            (
                "b",
                b"a",
                "which comes before an expectation that was already met; any_order() allows that",
            ),
            ("", b"c", "which is for connection 2, but this is 1"),
        ],
    )
    def test_one_that_fits_at_another_time(self, before: str, data: bytes, reason: str) -> None:
        first = expectation(b"a")
        if before == "b":
            first.times(0, 5)
        made = script(first, expectation(b"b"), expectation(b"c", connection=2))
        takes(made, before)
        assert self.explain(made, data)[-1].strip() == reason

    def test_nothing_more_is_expected(self) -> None:
        assert self.explain(script(), b"x")[1] == "  expected: no more messages"
