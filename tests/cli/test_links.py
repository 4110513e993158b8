from __future__ import annotations

import socket
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from tests.cli.program import listening, run, started
from vfiipc.__main__ import main


class _Files(NamedTuple):
    cert: str
    key: str
    ca: str


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> _Files:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    own = authority.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.ECDSA)
    names = _Files(*(str(folder / name) for name in ("cert.pem", "key.pem", "ca.pem")))
    own.cert_chain_pems[0].write_to_path(names.cert)
    own.private_key_pem.write_to_path(names.key)
    authority.cert_pem.write_to_path(names.ca)
    return names


@pytest.mark.long
def test_over_tls(files: _Files) -> None:
    own = ["--cert", files.cert, "--key", files.key]
    with started("listen", "tls://127.0.0.1:0", "--answer", "OK", *own) as running:
        place = running.line().split()[-1]
        assert place.startswith("tls://127.0.0.1:")
        status, out, _ = run("send", place, "hello", "--ca", files.ca)
        assert (status, out) == (0, b"OK\n")
        status, out, err = run("send", place, "hello")
        assert (status, out) == (1, b"")
        assert f"no connection to {place}: " in err


@pytest.mark.long
def test_over_tls_with_certificates_on_both_sides(files: _Files) -> None:
    both = ["--cert", files.cert, "--key", files.key, "--ca", files.ca]
    with started("echo", "tls://127.0.0.1:0", *both, "--client-auth") as running:
        place = running.line().split()[-1]
        assert run("send", place, "hello", *both)[:2] == (0, b"hello\n")
        assert run("send", place, "hello", "--ca", files.ca)[0] == 1


@pytest.mark.long
def test_a_proxy_to_tls(files: _Files) -> None:
    own = ["--cert", files.cert, "--key", files.key]
    with started("echo", "tls://127.0.0.1:0", *own) as server:
        place = server.line().split()[-1]
        with started("proxy", "0", place, "--ca", files.ca, "--once") as running:
            plain = running.line().split()[-1]
            assert run("send", plain, "hello")[:2] == (0, b"hello\n")
            status, out, err = running.end()
    assert (status, err) == (0, "")
    assert out.count(b"    hello\n") == 2


def test_files_that_cannot_be_used(
    files: _Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = str(tmp_path / "nothing")
    assert main(["listen", "tls://127.0.0.1:0"]) == 1
    assert main(["listen", "tls://127.0.0.1:0", "--cert", nothing]) == 1
    with listening() as (_, address):
        assert main(["send", f"tls://{address}", "hello", "--ca", nothing]) == 1
    first, second, third = capsys.readouterr().err.splitlines()
    assert "listening on tls://127.0.0.1:0 needs a certificate: --cert, and --key" in first
    assert second.startswith(f"vfiipc listen: cannot use {nothing}: ")
    assert third.startswith(f"vfiipc send: cannot use {nothing}: ")


def test_on_a_socket_that_exists_already() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        with started("echo", "fd://0", stdin=listener.fileno()) as running:
            assert running.line() == f"listening at {where}"
            assert run("send", where, "hello")[:2] == (0, b"hello\n")


def test_on_a_unix_socket_that_exists_already(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        with started("listen", "fd://0", "--answer", "OK", stdin=bound.fileno()) as running:
            assert running.line() == f"listening at pipe://{tmp_path}/socket"
            assert run("send", f"pipe://{tmp_path}/socket", "hello")[:2] == (0, b"OK\n")
    assert (tmp_path / "socket").exists()


def test_a_proxy_on_a_socket_that_exists_already() -> None:
    with (
        started("echo", "127.0.0.1:0") as echo,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        target = echo.line().split()[-1]
        with started("proxy", "fd://0", target, stdin=listener.fileno()) as running:
            running.line()
            assert run("send", where, "hello")[:2] == (0, b"hello\n")


def test_a_descriptor_that_is_not_one_to_listen_on() -> None:
    status, out, err = run("echo", "fd://0")
    assert (status, out) == (1, b"")
    assert "cannot listen on fd://0: " in err
    status, out, err = run("send", "fd://0", "hello")
    assert (status, out) == (2, b"")
    assert "only a server" in err
