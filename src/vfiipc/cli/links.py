"""Connections and listeners at the addresses that users type: TCP, TLS, Unix sockets."""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError
from collections.abc import Iterable

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


def add_tls(parser: arguments.Parser, *listening: str) -> None:
    """Adds the options of commands that accept ``tls://`` addresses.

    Args:
        parser: that of the command.
        listening: the arguments that hold addresses to listen on; none if it only connects.
    """
    tls = parser.add_argument_group("TLS, for tls:// addresses; files are in PEM format")
    needed = "; needed to listen" if listening else ""
    tls.add_argument(
        "--cert",
        metavar="FILE",
        type=arguments.file_name,
        help=f"own certificate, followed by its chain{needed}",
    )
    tls.add_argument(
        "--key",
        metavar="FILE",
        type=arguments.file_name,
        help="private key of --cert, unless that file contains it",
    )
    tls.add_argument(
        "--ca",
        metavar="FILE",
        type=arguments.file_name,
        help="certificate authorities to trust; the system's by default",
    )
    if listening:
        tls.add_argument(
            "--client-auth",
            action="store_true",
            help="when listening, require client certificates issued by --ca",
        )
    parser.checks.append(lambda parsed: _check_tls(parsed, listening))


def _check_tls(parsed: argparse.Namespace, listening: tuple[str, ...]) -> None:
    """Refuses options that would have no effect: traffic that should be encrypted would not be."""
    options = {"--cert": parsed.cert, "--key": parsed.key, "--ca": parsed.ca}
    given = [name for name, value in options.items() if value is not None]
    if given and not _has_tls(vars(parsed).values()):
        raise ArgumentTypeError(f"{given[0]} needs a tls:// address")
    if parsed.key is not None and parsed.cert is None:
        raise ArgumentTypeError("--key needs --cert")
    if listening and parsed.client_auth:
        if not _has_tls(getattr(parsed, name) for name in listening):
            raise ArgumentTypeError("--client-auth needs a tls:// address to listen on")
        if parsed.ca is None:
            raise ArgumentTypeError("--client-auth needs --ca, which issues the certificates")


def _has_tls(values: Iterable[object]) -> bool:
    for value in values:
        addresses = value if isinstance(value, list) else [value]
        if any(isinstance(each, Address) and each.scheme == "tls" for each in addresses):
            return True
    return False


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
        raise Failure(f"cannot listen on {shown(place)}: {reason}")
    local = listener.local_addr()
    if place.scheme == "pipe" or not local:
        return listener, shown(place)
    return listener, local if place.scheme == "tcp" else f"{place.scheme}://{local}"


def _take_over(place: Address, parsed: argparse.Namespace) -> tuple[IPC, str]:
    """Listens on an inherited socket, without TLS."""
    try:
        sock, at = inherited(place.fd, _BACKLOG, tls=False)
    except OSError as error:
        raise Failure(f"cannot listen on {place}: {describe(error)}") from None
    found = parse(at, listening=True)
    listener = _new(found, parsed, listening=True)
    if not listener._listen_by(lambda lifetime: SocketListener(sock, lifetime)):
        raise Failure(f"cannot listen on {place}: {describe(listener.last_error)}")
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
        raise Failure(f"listening on {place} needs a certificate: --cert, and --key")
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
