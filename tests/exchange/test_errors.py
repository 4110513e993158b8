from __future__ import annotations

import pickle
from decimal import Decimal
from fractions import Fraction

import pytest

from vfiipc.codec import SyncLostError
from vfiipc.exchange import (
    ConnectionClosed,
    check_callable,
    check_timeout,
    cut_or_ended,
    duration_of,
    same_error,
    serving_times,
    timeout_of,
)


def test_a_clean_end_has_no_rest() -> None:
    closed = cut_or_ended(b"")
    assert closed.rest == b""
    assert str(closed) == "the peer closed the connection"
    assert closed.errno is None


@pytest.mark.parametrize(("rest", "count"), [(b"4", "1 byte "), (b"4111 1111", "9 bytes ")])
def test_a_cut_keeps_the_rest_and_does_not_show_it(rest: bytes, count: str) -> None:  # CON-C4
    closed = cut_or_ended(rest)
    assert closed.rest == rest
    assert count in str(closed)
    assert "4111" not in f"{closed} {closed!r}"


def test_is_a_connection_error_that_can_be_pickled() -> None:
    closed = pickle.loads(pickle.dumps(cut_or_ended(b"rest")))
    assert isinstance(closed, ConnectionClosed)
    assert issubclass(ConnectionClosed, ConnectionError)
    assert closed.rest == b"rest"


@pytest.mark.parametrize(
    "error",
    [
        OSError(104, "reset"),
        SyncLostError(3, b"\0\1", "a prefix"),
        cut_or_ended(b"rest"),
        TimeoutError("late"),
    ],
)
def test_a_copy_is_the_same_but_has_no_past(error: BaseException) -> None:
    with pytest.raises(type(error)):
        raise error
    again = same_error(error)
    assert again is not error
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    assert again.__traceback__ is None


@pytest.mark.parametrize("timeout", [None, 0, 0.5, 10**9, float("inf")])
def test_good_timeouts(timeout: float | None) -> None:
    assert check_timeout(timeout) is timeout


@pytest.mark.parametrize("timeout", [10**400, 10**9, float("inf"), 1e300])
def test_a_very_long_time_is_a_wait_without_end(timeout: float) -> None:
    assert check_timeout(timeout) is timeout
    assert timeout_of(timeout) is None
    assert serving_times(timeout, timeout) == (None, 2_000_000.0)
    assert duration_of(timeout, "close_timeout") == 2_000_000.0


@pytest.mark.parametrize("timeout", [0, 0.5, 7, True, Fraction(1, 2), Decimal("0.5")])
def test_seconds_become_a_float(timeout: float) -> None:
    assert type(timeout_of(timeout)) is float
    assert timeout_of(timeout) == duration_of(timeout, "grace") == timeout


def test_a_huge_negative_timeout_is_refused() -> None:
    with pytest.raises(ValueError, match="timeout is far below 0, but must be 0 or more seconds"):
        check_timeout(-(10**5000))


@pytest.mark.parametrize("timeout", [-1, -0.1, float("nan")])
def test_a_negative_timeout_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match=r"grace is .*must be 0 or more seconds, or None"):
        check_timeout(timeout, "grace")


def test_a_duration_is_a_number_of_seconds() -> None:
    with pytest.raises(ValueError, match=r"^drain is -1, but must be 0 or more seconds$"):
        duration_of(-1, "drain")
    with pytest.raises(TypeError, match=r"^drain must be a number of seconds, not NoneType$"):
        duration_of(None, "drain")  # type: ignore[arg-type]


def test_a_handler_is_callable() -> None:
    with pytest.raises(TypeError, match=r"^handler must be callable, not int$"):
        check_callable(5)


def test_a_timeout_is_a_number() -> None:
    with pytest.raises(TypeError, match="timeout must be a number of seconds or None, not str"):
        check_timeout("1")  # type: ignore[arg-type]
