"""Connections and listeners at the addresses that users type: TCP, TLS, Unix sockets."""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError

from .. import IPC
from ..blocking.schemes import SchemeIPC, connect_to, is_tls, listen_at, object_for
from ..transport.addresses import Address, parse
from ..transport.sockets import SocketListener
from ..transport.tcp_sockets import inherited
from . import arguments
from .failures import Failure, describe, no_connection

__all__ = [
    "add_listening",
    "add_peer",
    "add_tls",
    "address",
    "dial",
    "listen",
    "peer_address",
    "shown",
]

_LOOPBACK = "127.0.0.1"
_BACKLOG = 128


def address(text: str) -> Address:
    """Where to listen; a bare port means the loopback, and so does an address without a host."""
    found = _parsed(text, listening=True)
    if found.scheme in ("tcp", "tls") and not found.host:
        return found._replace(host=_LOOPBACK)
    return found


def peer_address(text: str) -> Address:
    """Where to connect; a bare port means the loopback."""
    return _parsed(text, listening=False)


def _parsed(text: str, *, listening: bool) -> Address:
    is_port = text.isascii() and text.isdecimal()
    try:
        return parse(f"{_LOOPBACK}:{text}" if is_port else text, listening=listening)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def shown(place: Address) -> str:
    """An address as users type it: short, where it is TCP."""
    return place.host_and_port if place.scheme == "tcp" else str(place)


def add_peer(parser: arguments.Parser) -> None:
    """Adds the address argument of commands that connect."""
    parser.add_argument(
        "address",
        metavar="ADDRESS",
        type=peer_address,
        help="where to connect: HOST:PORT, PORT, tls://HOST:PORT, pipe:///PATH",
    )


def add_listening(parser: arguments.Parser) -> None:
    """Adds the optional address argument of commands that listen on one address."""
    parser.add_argument(
        "address",
        metavar="ADDRESS",
        nargs="?",
        type=address,
        default="127.0.0.1:0",
        help="where to listen: HOST:PORT, PORT, tls://HOST:PORT, pipe:///PATH, or fd://3 for an "
        "inherited listening socket; port 0 chooses a free port (%(default)s)",
    )


def add_tls(parser: arguments.Parser) -> None:
    """Adds the options of commands that accept ``tls://`` addresses."""
    tls = parser.add_argument_group("TLS, for tls:// addresses; files are in PEM format")
    tls.add_argument("--cert", metavar="FILE", help="own certificate, followed by its chain")
    tls.add_argument(
        "--key", metavar="FILE", help="private key of --cert, unless that file contains it"
    )
    tls.add_argument(
        "--ca", metavar="FILE", help="certificate authorities to trust; the system's by default"
    )
    tls.add_argument(
        "--client-auth",
        action="store_true",
        help="when listening, require client certificates issued by --ca",
    )


def listen(place: Address, parsed: argparse.Namespace) -> tuple[IPC, str]:
    """Listens; returns the listener and the address to connect to.

    Raises:
        Failure: it cannot listen.
    """
    if place.scheme == "fd":
        return _take_over(place, parsed)
    listener = _new(place, parsed, listening=True)
    if not listen_at(listener, place):
        reason = describe(listener.last_error)
        listener.close()
        raise Failure(f"cannot listen at {shown(place)}: {reason}")
    local = listener.local_addr()
    if place.scheme == "pipe" or not local:
        return listener, shown(place)
    return listener, local if place.scheme == "tcp" else f"{place.scheme}://{local}"


def _take_over(place: Address, parsed: argparse.Namespace) -> tuple[IPC, str]:
    """Listens on an inherited socket, without TLS."""
    try:
        sock, at = inherited(place.fd, _BACKLOG, tls=False)
    except OSError as error:
        raise Failure(f"cannot listen at {place}: {describe(error)}") from None
    found = parse(at, listening=True)
    listener = _new(found, parsed, listening=True)
    if not listener._listen_by(lambda lifetime: SocketListener(sock, lifetime)):
        raise Failure(f"cannot listen at {place}: {describe(listener.last_error)}")
    return listener, shown(found)


def dial(place: Address, timeout_msec: int, parsed: argparse.Namespace) -> IPC:
    """Connects.

    Raises:
        Failure: it cannot connect.
    """
    link = _new(place, parsed, listening=False)
    if not connect_to(link, place, timeout_msec):
        reason = link.last_error
        link.close()
        raise no_connection(shown(place), reason, timeout_msec)
    return link


def _new(place: Address, parsed: argparse.Namespace, *, listening: bool) -> SchemeIPC:
    link = object_for(place.scheme)
    if not is_tls(link):
        return link
    if listening and not parsed.cert:
        raise Failure(f"listening at {place} needs a certificate: --cert, and --key")
    given = [path for path in (parsed.cert, parsed.key) if path]
    if given and not link.setKeyCert(given[-1], given[0]):
        raise Failure(f"cannot use {' and '.join(given)}: {describe(link.last_error)}")
    if parsed.ca and not link.setCA(parsed.ca):
        raise Failure(f"cannot use {parsed.ca}: {describe(link.last_error)}")
    if listening:
        link.setClientAuth(parsed.client_auth)
    elif not parsed.ca:
        link.addDefaultCA()
    return link
