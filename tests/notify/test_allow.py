from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.cost import quickest
from vfiipc.notify.allow import ConfigError, ResultCode, parse_allow_list
from vfiipc.notify.patterns import Pattern


@given(st.text("ab*\\", max_size=8), st.text("ab*\\", max_size=10))
def test_patterns_match_as_a_regular_expression_would(pattern: str, text: str) -> None:  # NFY-A3
    tokens = re.findall(r"\\.|.|\\$", pattern, re.DOTALL)
    if "\\" in tokens:
        with pytest.raises(ValueError, match="at the end"):
            Pattern(pattern)
        return
    expression = "".join(".*" if token == "*" else re.escape(token[-1]) for token in tokens)
    expected = re.fullmatch(expression, text, re.DOTALL) is not None
    assert Pattern(pattern).matches(text) == expected


def test_no_pattern_costs_more_than_its_length_times_that_of_the_text() -> None:
    pattern = Pattern("*a" * 30 + "b")
    text = "a" * 255
    assert not pattern.matches(text)
    assert quickest(lambda: pattern.matches(text)) < 0.01


def test_patterns_compare_and_show_themselves() -> None:
    assert Pattern("a*") == Pattern("a*") != Pattern("*a")
    assert len({Pattern("a*"), Pattern("a*")}) == 1
    assert str(Pattern(r"\*")) == r"\*"
    assert repr(Pattern("a")) == "Pattern('a')"


def test_a_wrong_line_is_named_with_what_is_allowed() -> None:  # NFY-A9
    with pytest.raises(ConfigError) as caught:
        parse_allow_list("in * * *\n\nperm\x1bit * * *\n", "/etc/notify.cfg")
    assert caught.value.code is ResultCode.NOTIFY_ERR_CONFIG_SYNTAX
    assert caught.value.line == 3
    assert str(caught.value) == (
        r"/etc/notify.cfg, line 3: 'perm\x1bit' is not a keyword; a line is"
        " `in|out FROM TO NOTIFICATION-ID` or `interface NAME-OR-ADDRESS`"
    )
    with pytest.raises(ConfigError, match=r"line 1: 'x{40}\.\.\.' is not"):
        parse_allow_list("x" * 10000)


def test_a_byte_order_mark_is_not_part_of_the_first_line() -> None:
    text = "in a * *\n"
    assert parse_allow_list("\ufeff" + text) == parse_allow_list(text) is not None
    with pytest.raises(ConfigError, match="line 2"):
        parse_allow_list(text + "\ufeff" + text)


def test_the_codes_are_those_of_the_original() -> None:  # NFY-S4
    assert {code.name: code.value for code in ResultCode} == {
        "NOTIFY_OK": 0,
        "NOTIFY_ERR_SERVER": -1,
        "NOTIFY_ERR_APP_ID": -2,
        "NOTIFY_ERR_PERMISSION": -3,
        "NOTIFY_ERR_CONFIG_FILE": -4,
        "NOTIFY_ERR_CONFIG_SYNTAX": -5,
    }


def test_a_long_pattern_is_read_in_a_time_that_its_length_says() -> None:
    short, long = "a" * 100_000, "a" * 1_000_000
    assert quickest(lambda: Pattern(long)) < 40 * quickest(lambda: Pattern(short))
