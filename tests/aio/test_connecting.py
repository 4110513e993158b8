"""Connecting: names and their addresses, what a cancellation leaves, and every kind of loop."""

from __future__ import annotations

# ruff: noqa: SIM117 - a server around, and the connections to it inside, are easier to read
import asyncio
import errno
import gc
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vfiipc import aio

from .loops import FRAMING, SECONDS, Run, contexts, echo, run

NAME = "two.addresses.example"
needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts in /proc")


@pytest.fixture
def resolves_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has ``NAME`` resolve to addresses."""
    genuine = socket.getaddrinfo

    def made(*addresses: str) -> None:
        def getaddrinfo(host: str, port: int, *rest: Any) -> Any:
            if host != NAME:
                return genuine(host, port, *rest)
            return [genuine(address, port, 0, socket.SOCK_STREAM)[0] for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return made


@contextmanager
def free_port() -> Iterator[int]:
    """A port where nobody listens, on no adapter."""
    with socket.socket(socket.AF_INET6) as held:
        held.bind(("::", 0))
        yield held.getsockname()[1]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@needs_proc
@pytest.mark.parametrize("scheme", ["tcp", "tls"])
@pytest.mark.parametrize("how", ["time-out", "cancelled"])
@pytest.mark.long
def test_nothing_stays_open(
    loop: Run[Any], scheme: str, how: str, resolves_to: Callable[..., None]
) -> None:  # CON-A8
    resolves_to("::1", "127.0.0.1")
    for_server, for_client = contexts()
    keywords: dict[str, Any] = dict(FRAMING)
    if scheme == "tls":
        keywords |= {"ssl": for_client, "server_hostname": "127.0.0.1"}

    async def give_up(address: str, number: int) -> aio.Connection | None:
        """Gives up ever later; the connection if it was quicker."""
        if how == "time-out":
            try:
                return await aio.connect(address, timeout=0.0002 * (1 + number % 10), **keywords)
            except TimeoutError:
                return None
        task = asyncio.ensure_future(_connected(address, keywords))
        if number % 2:
            await asyncio.sleep(0.0002 * (number % 40))
        else:
            for _ in range(number // 2 % 25):
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return None if task.cancelled() else task.result()

    async def main() -> None:
        server_keywords = FRAMING | {"ssl": for_server if scheme == "tls" else None, "grace": 0}
        async with aio.serve(_quiet, f"{scheme}://:0", **server_keywords) as server:
            address = f"{scheme}://{NAME}:{server.address.rpartition(':')[2]}"
            conn = await _connected(address, keywords)
            conn.close()
            await conn.wait_closed()
            await _until(lambda: not server.connections)
            before, given_up = descriptors(), 0
            for number in range(300):
                made = await give_up(address, number)
                given_up += made is None
                if made is not None:
                    made.close()
                    await made.wait_closed()
            assert given_up
            await _until(lambda: not server.connections and descriptors() <= before)

    gc.collect()
    gc.disable()
    try:
        loop(main())
    finally:
        gc.enable()


async def _connected(address: str, keywords: dict[str, Any]) -> aio.Connection:
    return await aio.connect(address, **keywords)


async def _quiet(connection: aio.Connection) -> None:
    try:
        await echo(connection)
    except OSError:
        pass  # clients that go without a word are what this is about


async def _until(true: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + SECONDS
    while not true():
        assert asyncio.get_running_loop().time() < deadline, "it did not come true"
        await asyncio.sleep(0.01)


def test_addresses_that_refuse_are_passed_by(
    loop: Run[Any], resolves_to: Callable[..., None]
) -> None:  # CON-A7
    resolves_to("::1", "127.0.0.3", "127.0.0.1")

    async def main() -> None:
        async with aio.serve(echo, "127.0.0.1:0", **FRAMING) as server:
            port = server.address.rpartition(":")[2]
            async with aio.connect(f"{NAME}:{port}", **FRAMING) as conn:
                assert conn.remote_address == f"127.0.0.1:{port}"
                assert (await conn.request(b"x", SECONDS)).data == b"x"

    loop(main())


@pytest.mark.parametrize("addresses", [("::1", "127.0.0.1"), ("127.0.0.1",), ()])
def test_the_error_is_that_of_the_blocking_side(
    loop: Run[Any], resolves_to: Callable[..., None], addresses: tuple[str, ...]
) -> None:
    import vfiipc

    resolves_to(*addresses)
    with free_port() as port:
        with pytest.raises(OSError, match="not connected to") as blocking:
            vfiipc.connect(f"{NAME}:{port}", **FRAMING)

        async def main() -> None:
            with pytest.raises(OSError, match="not connected to") as raised:
                await aio.connect(f"{NAME}:{port}", **FRAMING)
            assert raised.value.errno == blocking.value.errno
            assert raised.value.errno in (errno.ECONNREFUSED, errno.EADDRNOTAVAIL)
            assert (type(raised.value), str(raised.value)) == (
                type(blocking.value),
                str(blocking.value),
            )

        loop(main())


@pytest.mark.parametrize("host", ["till..example", "a" * 64 + ".example", "ż" * 64, "xn--\udcff"])
def test_a_name_that_cannot_be_encoded_is_an_os_error(loop: Run[Any], host: str) -> None:
    _, for_client = contexts()

    async def main() -> None:
        for scheme, context in [("tcp", None), ("tls", for_client)]:
            with pytest.raises(OSError, match="not connected to"):
                await aio.connect(f"{scheme}://{host}:5000", ssl=context, **FRAMING)
        with pytest.raises(OSError, match="cannot listen on"):
            await aio.serve(echo, f"tcp://{host}:0", **FRAMING)

    loop(main())


@pytest.mark.parametrize("name", ["till..example", "a" * 64, "", "a\0b", ".a", 7])
def test_a_wrong_server_hostname_is_told_at_once(name: Any) -> None:
    _, for_client = contexts()
    with pytest.raises((ValueError, TypeError), match="server_hostname"):
        aio.connect("tls://127.0.0.1:1", ssl=for_client, server_hostname=name, **FRAMING)
    with pytest.raises((ValueError, TypeError), match="server_hostname"):
        aio.connect("tcp://127.0.0.1:1", server_hostname=name, **FRAMING)


def test_a_resolver_that_hangs_is_left_behind(
    loop: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> None:  # CON-A8
    go = threading.Event()

    def hang(*_: object) -> Any:
        go.wait(SECONDS)
        raise OSError("too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def main() -> None:
        with pytest.raises(TimeoutError, match=r"not connected to tcp://hangs:1 within 0\.05 s"):
            await aio.connect("hangs:1", timeout=0.05, **FRAMING)

    try:
        loop(main())
    finally:
        go.set()


def _scoped() -> str:
    """A link-local address of this machine, with its adapter."""
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        packed, _, _, scope, _, adapter = line.split()
        if scope == "20":
            return f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(packed))}%{adapter}"
    pytest.skip("no adapter has a link-local address")


def test_an_ipv6_address_with_a_scope(loop: Run[Any]) -> None:
    address = _scoped()

    async def main() -> None:
        async with aio.serve(echo, f"tcp://[{address}]:0", **FRAMING) as server:
            assert address in server.address
            async with aio.connect(server.address, timeout=SECONDS, **FRAMING) as conn:
                assert (await conn.request(b"x", SECONDS)).data == b"x"

    loop(main())


def test_the_scope_of_an_address_reaches_the_system(loop: Run[Any]) -> None:
    async def main() -> None:
        async with aio.serve(echo, "tcp://[::1%1]:0", **FRAMING) as server:
            async with aio.connect(server.address, timeout=SECONDS, **FRAMING) as conn:
                assert (await conn.request(b"x", SECONDS)).data == b"x"

    loop(main())


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets")
def test_a_full_queue_of_a_pipe_is_waited_for(loop: Run[Any], tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(path)

            async def main() -> None:
                with pytest.raises(TimeoutError, match=r"within 0\.1 s"):
                    await aio.connect(f"pipe://{path}", timeout=0.1, **FRAMING)
                waiting = asyncio.ensure_future(_connected(f"pipe://{path}", FRAMING))
                await asyncio.sleep(0.05)
                assert not waiting.done()
                accepted, _ = listener.accept()
                conn = await waiting
                await conn.send(b"arrives")
                conn.close()
                await conn.wait_closed()
                accepted.close()
                peer, _ = listener.accept()
                assert peer.recv(100).endswith(b"arrives")
                peer.close()

            loop(main())


@pytest.mark.parametrize("path", ["pipe:///run/" + "x" * 200, "pipe:///nowhere/at/all"])
def test_a_path_that_cannot_be_is_an_os_error(loop: Run[Any], path: str) -> None:
    async def main() -> None:
        with pytest.raises(OSError, match="not connected to pipe:///") as raised:
            await aio.connect(path, **FRAMING)
        assert raised.value.errno in (errno.ENAMETOOLONG, errno.ENOENT)

    loop(main())


def test_a_loop_that_cannot_watch_sockets(resolves_to: Callable[..., None]) -> None:
    # As Windows' own; the server is in a loop that can.
    class Blind(asyncio.SelectorEventLoop):
        def add_writer(self, *_: Any) -> Any:  # type: ignore[override]
            raise NotImplementedError

    resolves_to("::1", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        async def main() -> None:
            address = f"{NAME}:{listener.getsockname()[1]}"
            conn = await aio.connect(address, timeout=SECONDS, **FRAMING)
            conn.close()
            await conn.wait_closed()

        blind = Blind()
        try:
            blind.run_until_complete(main())
        finally:
            blind.close()


def test_a_handshake_that_never_ends_is_given_up(
    loop: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> None:  # CON-T2
    monkeypatch.setattr(sys.modules["vfiipc.aio.connect"], "HANDSHAKE_TIMEOUT", 0.2)
    _, for_client = contexts()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"tls://127.0.0.1:{mute.getsockname()[1]}"

        async def main() -> None:
            with pytest.raises(TimeoutError, match=r"the handshake was not complete within 0\.2 s"):
                await aio.connect(address, ssl=for_client, **FRAMING)

        loop(main())


def test_a_refused_certificate_names_the_address(loop: Run[Any]) -> None:
    for_server, _ = contexts()

    async def main() -> None:
        keywords = FRAMING | {"ssl": for_server, "grace": 0}
        async with aio.serve(echo, "tls://127.0.0.1:0", **keywords) as server:
            with pytest.raises(
                ssl.SSLCertVerificationError, match=f"not connected to {server.address}"
            ):
                await aio.connect(server.address, **FRAMING)

    loop(main())


@needs_proc
def test_a_loop_that_ends_meanwhile_leaves_nothing() -> None:
    before = descriptors()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"tls://127.0.0.1:{mute.getsockname()[1]}"
        _, for_client = contexts()

        async def main(turns: int) -> None:
            keywords = FRAMING | {"ssl": for_client}
            asyncio.ensure_future(_connected(address, keywords))  # noqa: RUF006 - left to itself
            for _ in range(turns):
                await asyncio.sleep(0)

        for turns in range(15):
            asyncio.run(main(turns))
    assert descriptors() <= before


def test_the_same_loop_in_debug_mode() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        async with aio.serve(echo, "localhost:0", **FRAMING) as server:
            async with aio.connect(server.address, **FRAMING) as conn:
                assert (await conn.request(b"x", SECONDS)).data == b"x"

    for kind in ("asyncio", "uvloop"):
        run(kind, main())
