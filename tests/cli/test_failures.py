from __future__ import annotations

import errno
import os

import pytest

from vfiipc.cli.failures import describe, no_connection, seconds


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EPIPE, os.strerror(errno.EPIPE)), "broken pipe"),
        (ValueError("two ports"), "two ports"),
        (TimeoutError(), "TimeoutError"),
        (None, "unknown reason"),
    ],
)
def test_errors_in_words(error: BaseException | None, words: str) -> None:
    assert describe(error) == words


def test_the_time_that_the_user_gave() -> None:
    assert [seconds(10_000), seconds(300), seconds(1)] == ["10 s", "0.3 s", "0.001 s"]


def test_a_network_that_cannot_be_reached() -> None:
    error = OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
    assert str(no_connection("h:1", error, 1)) == "no connection to h:1: network is unreachable"
