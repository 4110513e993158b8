from __future__ import annotations

import pickle

import pytest

from vfiipc.codec import SyncLostError
from vfiipc.exchange import ConnectionClosed, check_timeout, cut_or_ended, same_error


def test_a_clean_end_has_no_rest() -> None:
    closed = cut_or_ended(b"")
    assert closed.rest == b""
    assert str(closed) == "the peer closed the connection"
    assert closed.errno is None


@pytest.mark.parametrize(("rest", "count"), [(b"4", "1 byte "), (b"4111 1111", "9 bytes ")])
def test_a_cut_keeps_the_rest_and_does_not_show_it(rest: bytes, count: str) -> None:
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


@pytest.mark.parametrize("timeout", [-1, -0.1, float("nan")])
def test_a_negative_timeout_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match=r"grace is .*must be 0 or more seconds, or None"):
        check_timeout(timeout, "grace")


def test_a_timeout_is_a_number() -> None:
    with pytest.raises(TypeError, match="timeout must be a number of seconds or None, not str"):
        check_timeout("1")  # type: ignore[arg-type]
