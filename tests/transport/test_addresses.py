"""How addresses are written and read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vfiipc import TCP

from .suite.base import LONG, port_of


class TestAddresses:
    @pytest.mark.parametrize(
        ("listening", "name", "in_name"),
        [
            ("127.0.0.1", "127.0.0.1", False),
            ("127.0.0.1", "127.0.0.1:{}", True),
            ("127.0.0.1", "localhost:{}", True),
            ("127.0.0.1", "localhost", False),
            ("::1", "::1", False),
            ("::1", "[::1]", False),
            ("::1", "[::1]:{}", True),
        ],
    )
    def test_ways_to_write_one(self, listening: str, name: str, in_name: bool) -> None:
        with TCP() as server, TCP() as client:
            assert server.listen(0, listening)
            port = port_of(server)
            assert client.connect(name.format(port), 0 if in_name else port, LONG), (
                client.last_error
            )
            assert client.remote_addr() == server.local_addr()
            assert not client.is_server()
            assert server.is_server()

    @pytest.mark.parametrize(
        ("name", "port", "reason"),
        [
            ("localhost:80", 80, "two ports"),
            ("[::1]:80", 80, "two ports"),
            ("localhost", 0, "no port"),
            ("::1", 0, "no port"),
            ("[::1]", 0, "no port"),
            ("localhost:0", 0, "1..65535"),
            ("localhost:", 0, "1..65535"),
            ("localhost:http", 0, "1..65535"),
            ("localhost:65536", 0, "1..65535"),
            ("localhost:-1", 0, "1..65535"),
            ("localhost: 80", 0, "1..65535"),
            ("localhost:٣", 0, "1..65535"),
            ("localhost:" + "9" * 5000, 0, "1..65535"),
            ("", 80, "no host"),
            (":80", 0, "no host"),
            ("[::1", 80, "invalid address"),
            ("[::1]80", 0, "invalid address"),
            ("a:b:80", 0, "invalid address"),
        ],
    )
    def test_what_is_none(self, name: str, port: int, reason: str) -> None:  # IPC-G3
        with TCP() as ipc:
            assert ipc.connect(name, port, LONG) is False
            assert isinstance(ipc.last_error, ValueError)
            assert reason in str(ipc.last_error)
            assert not ipc.error()
            assert ipc.getFD() == -1

    @pytest.mark.parametrize("name", ["no\0name", "a" * 70 + ".invalid", "..", "no-host.invalid"])
    def test_no_host(self, name: str) -> None:
        with TCP() as ipc:
            assert ipc.connect(name, 80, LONG) is False
            assert ipc.last_error is not None

    def test_mistakes_of_the_caller(self) -> None:  # IPC-G2
        with TCP() as ipc:
            for port in (-1, 65536):
                with pytest.raises(ValueError, match="port"):
                    ipc.connect("localhost", port)
                with pytest.raises(ValueError, match="port"):
                    ipc.listen(port)
            calls: list[Callable[[], object]] = [
                lambda: ipc.connect(b"localhost", 80),  # type: ignore[arg-type]
                lambda: ipc.connect("localhost", "80"),  # type: ignore[arg-type]
                lambda: ipc.connect("localhost", 80, "1"),  # type: ignore[arg-type]
                lambda: ipc.listen("80"),  # type: ignore[arg-type]
                lambda: ipc.listen(0, 5),  # type: ignore[arg-type]
                lambda: ipc.listen(0, None, "many"),  # type: ignore[arg-type]
                lambda: ipc.accept("1"),  # type: ignore[arg-type]
                lambda: ipc.setFD("1"),  # type: ignore[arg-type]
                lambda: ipc.setFD(None),  # type: ignore[arg-type]
                lambda: ipc.setKeepalive("3", 1),  # type: ignore[arg-type]
            ]
            for call in calls:
                with pytest.raises(TypeError):
                    call()
            assert not ipc.error()

    @pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
    def test_without_an_address_both_families_come(self, address: str) -> None:
        with TCP() as server, TCP() as client:
            assert server.listen(0)
            assert client.connect(address, port_of(server), LONG)
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                assert accepted.remote_addr() == client.local_addr()
                assert accepted.local_addr() == client.remote_addr()
                assert accepted.local_addr().startswith(("127.0.0.1:", "[::1]:"))
