"""Which errors of accept(2) a server survives, and how many connections it takes."""

from __future__ import annotations

import errno
import logging
import os
import socket
from typing import Any

import pytest

from tests.transport.suite.base import until
from vfiipc.transport.sockets import PEER_GONE

from .drivers import SECONDS, Driver


class Failing(socket.socket):
    """A listening socket that fails to accept with each of ``errors`` before it goes on."""

    errors: list[int]

    def accept(self) -> tuple[socket.socket, Any]:
        # A connection that waits makes the socket readable, as it is when accept(2) fails so.
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        return super().accept()


def failing(*errors: int) -> Failing:
    listener = Failing()
    listener.errors = list(errors)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def asked(driver: Driver, address: str) -> bytes:
    with driver.connect(address, None, None) as conn:
        return conn.request(b"served", SECONDS).data


def test_connections_that_died_are_skipped(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:  # CON-S8
    assert {errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.EHOSTUNREACH} <= PEER_GONE
    listener = failing(*PEER_GONE)
    with caplog.at_level(logging.INFO), driver.serve(None, None, None, sock=listener) as server:
        assert asked(driver, server.address) == b"served"
    assert listener.errors == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.EBADF, errno.EINVAL])
def test_any_other_error_is_logged_once_and_survived(
    driver: Driver, caplog: pytest.LogCaptureFixture, number: int
) -> None:  # CON-S4
    listener = failing(number, number, number)
    with caplog.at_level(logging.INFO), driver.serve(None, None, None, sock=listener) as server:
        assert asked(driver, server.address) == b"served"
        until(lambda: not server.connections)
        listener.errors = [number]
        assert asked(driver, server.address) == b"served"
    told = [
        message for message in caplog.messages if "cannot accept connections, will retry" in message
    ]
    assert len(told) == 2  # once for each time that accepting failed
    assert all(os.strerror(number) in message for message in told)


class Three:
    """An integer that is not an ``int``."""

    def __index__(self) -> int:
        return 3


def test_the_limit_is_an_integer(driver: Driver) -> None:  # CON-S3
    with driver.serve("127.0.0.1:0", None, None, max_connections=Three()) as server:
        assert asked(driver, server.address) == b"served"
    for wrong, error in (("3", TypeError), (3.0, TypeError), (0, ValueError), (-1, ValueError)):
        with (
            pytest.raises(error, match="max_connections"),
            driver.serve("127.0.0.1:0", None, None, max_connections=wrong),
        ):
            pass
