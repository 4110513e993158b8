"""TLS against a bare ``ssl.SSLSocket``: loopback TCP, the other end a process."""

from __future__ import annotations

import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from vfiipc.transport import TLS

from .far_end import FarEnd
from .harness import Result, interleave, ratio
from .streams import PREFIX
from .transport import FULL, TINY, Scale

__all__ = ["FULL", "INTRODUCTION", "PACKAGES", "TINY", "TITLE", "run"]

TITLE = "TLS: speed"
PACKAGES = ["pyOpenSSL", "cryptography"]
INTRODUCTION = f"""\
TLS 1.3 over the loopback interface with {ssl.OPENSSL_VERSION}; the other end is a separate
process. The variants alternate within one run. The results are medians of the rounds' ratios of
elapsed time. A run lasts until the other end has confirmed that it received the last message."""

NOTE = (
    "The TLS session works in memory, so that no lock is held while a thread waits. This copies"
    " the ciphertext once more at each end. In addition, each message is assembled in its own"
    " memory."
)

_HEADER = 12
_HOST = "127.0.0.1"


class _Peers:
    """The near ends of connections to far ends, all closed together.

    Args:
        folder: where certificates go.
    """

    def __init__(self, folder: Path) -> None:
        trustme = import_module("trustme")
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        certificate = authority.issue_cert(_HOST, key_type=trustme.KeyType.ECDSA)
        self._ca, self._own = folder / "ca.pem", folder / "own.pem"
        authority.cert_pem.write_to_path(self._ca)
        certificate.private_key_and_cert_chain_pem.write_to_path(self._own)
        self.stack = ExitStack()

    def ours(self, role: str, flags: int = 0) -> tuple[FarEnd, TLS]:
        with TLS() as server:
            server.setKeyCert(self._own, self._own)
            server.addCA(self._ca)
            server.setCheckConfig(flags)
            if not server.listen(0, _HOST):
                raise OSError(server.last_error)
            address = f"{server.local_addr()} {self._ca} {int(flags)}"
            far_end = self.stack.enter_context(FarEnd(role, address=address))
            accepted = server.accept(10_000)
        if accepted is None:
            raise OSError(f"nobody came: {server.last_error}")
        return far_end, self.stack.enter_context(accepted)

    def bare(self, role: str) -> tuple[FarEnd, ssl.SSLSocket]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._own)
        with socket.create_server((_HOST, 0)) as listener:
            address = f"{_HOST}:{listener.getsockname()[1]} {self._ca} 0"
            far_end = self.stack.enter_context(FarEnd(role, address=address))
            sock, _ = listener.accept()
        return far_end, self.stack.enter_context(context.wrap_socket(sock, server_side=True))


def run(scale: Scale, *, peers: bool = True) -> Iterator[Result]:
    """All results, as they are measured."""
    with tempfile.TemporaryDirectory() as folder:
        near = _Peers(Path(folder))
        with near.stack:
            yield from _one_way(near, scale)


def _one_way(near: _Peers, scale: Scale) -> Iterator[Result]:
    count, size = scale.large, scale.large_size
    streaming, gathering = near.bare("tls recv"), near.bare("tls gather")
    our_end, tls = near.ours("tls read_msg")
    openssl_end, openssl = near.ours("tls read_msg", TLS.IGNORE_NOT_YET_VALID)
    data, whole = bytes(size), bytes(size + _HEADER)

    def bare(far_end: FarEnd, sock: ssl.SSLSocket) -> None:
        far_end.expect(count, size + _HEADER)
        for _ in range(count):
            sock.sendall(whole)
        far_end.wait()

    def write(far_end: FarEnd, ipc: TLS) -> None:
        far_end.expect(count, size + _HEADER)
        for number in range(count):
            if not ipc.write_msg(PREFIX, number, data, 10_000):
                raise OSError(f"not written: {ipc.last_error}")
        far_end.wait()

    ways = {
        "bare": lambda: bare(*streaming),
        "gathered": lambda: bare(*gathering),
        "ours": lambda: write(our_end, tls),
        "pyOpenSSL": lambda: write(openssl_end, openssl),
    }
    times = interleave(ways, scale.rounds, time.perf_counter)
    message = "1 MiB, `write_msg` to `read_msg`"
    stream = "`SSLSocket.sendall` to `recv`, data discarded"
    for name, label, reference, against, aim in (
        ("ours", message, "bare", stream, 0.85),
        ("ours", message, "gathered", "`SSLSocket.sendall` to `recv` and `join`", None),
        ("pyOpenSSL", f"{message}, which uses pyOpenSSL", "bare", stream, None),
    ):
        yield Result(
            "One way, large messages",
            label,
            against,
            *ratio(times, name, reference),
            aim=aim,
            note=NOTE,
            rate=f"{count * size / min(times[name]) / 1e9:.1f} GB/s",
        )
