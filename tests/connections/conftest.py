from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.transport.certificates import Certificates
from vfiipc import IPC, TCP, TLS, Pipe

from .drivers import SECONDS, Asyncio, Blocking, Driver, Hands


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates, made once."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["blocking", "asyncio"])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    made: Driver = Blocking() if request.param == "blocking" else Asyncio()
    yield made
    made.end()


class Medium:
    """One transport: where to listen, and what TLS needs at both ends."""

    def __init__(self, scheme: str, folder: Path, certificates: Certificates) -> None:
        self.scheme = scheme
        self._folder = folder
        self._certificates = certificates

    @property
    def address(self) -> str:
        return (
            f"pipe://{self._folder}/s" if self.scheme == "pipe" else f"{self.scheme}://127.0.0.1:0"
        )

    def client(self) -> tuple[TLS | None, ssl.SSLContext | None]:
        if self.scheme != "tls":
            return None, None
        tls = TLS()
        assert tls.addCA(self._certificates.ca)
        return tls, ssl.create_default_context(cafile=str(self._certificates.ca))

    def server(self) -> tuple[TLS | None, ssl.SSLContext | None]:
        if self.scheme != "tls":
            return None, None
        key, cert = self._certificates.good
        tls = TLS()
        assert tls.setKeyCert(key, cert)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        return tls, context

    def listener(self) -> tuple[IPC, str]:
        """A plain object of the original's kind that listens, and its address."""
        if self.scheme == "pipe":
            pipe = Pipe()
            assert pipe.listen(f"{self._folder}/plain"), pipe.last_error
            return pipe, f"pipe://{self._folder}/plain"
        listening = self.server()[0] or TCP()
        assert listening.listen(0, "127.0.0.1"), listening.last_error
        return listening, f"{self.scheme}://{listening.local_addr()}"


@pytest.fixture(params=["tcp", "tls", "pipe"])
def medium(request: pytest.FixtureRequest, tmp_path: Path, certificates: Certificates) -> Medium:
    return Medium(request.param, tmp_path, certificates)


@pytest.fixture
def pair(driver: Driver, medium: Medium) -> Iterator[Callable[..., tuple[Hands, IPC]]]:
    """Makes a connection, with a plain object at its other end."""
    with ExitStack() as stack:

        def made(**keywords: Any) -> tuple[Hands, IPC]:
            listener, address = medium.listener()
            stack.enter_context(listener)
            waiting = _AcceptAside(listener)
            hands = stack.enter_context(driver.connect(address, *medium.client(), **keywords))
            return hands, stack.enter_context(waiting.result())

        yield made


@pytest.fixture
def served(driver: Driver, medium: Medium) -> Callable[..., AbstractContextManager[Any]]:
    """Makes a server that sends everything back."""

    def made(**keywords: Any) -> AbstractContextManager[Any]:
        serving: AbstractContextManager[Any] = driver.serve(
            medium.address, *medium.server(), **keywords
        )
        return serving

    return made


class _AcceptAside:
    """Accepts in a thread: a handshake of TLS needs both ends at once."""

    def __init__(self, listener: IPC) -> None:
        self._connected = threading.Event()
        self._found: list[IPC] = []
        self._listener = listener
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        peer = self._listener.accept(SECONDS * 1000)
        if peer is not None:
            while not self._connected.is_set():
                peer.poll_in(10)  # makes the handshake
            self._found.append(peer)

    def result(self) -> IPC:
        self._connected.set()
        self._thread.join()
        assert self._found, self._listener.last_error
        return self._found[0]
