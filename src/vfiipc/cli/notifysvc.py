"""``vfiipc notifysvc``: the server of the notification service."""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Final

from ..transport.addresses import Address
from . import arguments, links

__all__ = ["add_to"]

_MORE = """\
Routes notifications between applications, like the notifysvc of a terminal.
Clients on TCP are remote, and the rules in CONFIG apply to them. Clients on
--pipe are local: the rules do not apply to them, and they can observe. Without
CONFIG, the server listens on 127.0.0.1:5899 and allows everything. The first
lines of output are its addresses. Ctrl-C ends it.

Each line of CONFIG is a rule for what remote clients may send (in) or receive
(out), or an interface to listen on. Without interface lines, it listens on all:
  in  * * EXT_SYS_*
  out printer till status
  interface eth0

Refused notifications are logged to standard error, without parameters. Set
NFY_LOGMASK=127 in the environment to log more, and 0 to log nothing.

With --bus, several servers act as one: a notification reaches its receiver on
any of them. Each server needs a unique name. Other servers count as remote:
the rules in CONFIG apply to what comes from them and what goes to them.

examples:
  vfiipc notifysvc
  vfiipc notifysvc --listen 127.0.0.1:0 --pipe /tmp/notify
  vfiipc notifysvc notify.cfg
  vfiipc notifysvc --bus nats://bus.example:4222 --node gateway-1
"""


#: The options ``--bus-NAME``, and what the files contain.
_BUS_FILES: Final = {
    "creds": "credentials: a JWT and its NKey seed",
    "nkey": "credentials: an NKey seed",
    "ca": "certificate authorities to trust, in PEM format; the system's by default",
    "cert": "own certificate, followed by its chain, in PEM format",
    "key": "private key of --bus-cert, unless that file contains it",
}


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands, "notifysvc", _run, does="route notifications between applications", more=_MORE
    )
    parser.add_argument(
        "config",
        metavar="CONFIG",
        nargs="?",
        type=arguments.file_name,
        help="the file with the rules and interfaces; see below",
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        type=links.address,
        action="append",
        default=[],
        help="where to listen for remote clients, instead of the interfaces in CONFIG: HOST:PORT, "
        "PORT, tls://HOST:PORT; can be repeated",
    )
    parser.add_argument(
        "--pipe",
        metavar="PATH",
        type=_pipe,
        help="where to listen for local clients: the path of a Unix socket",
    )
    links.add_tls(parser, "listen")
    _add_bus(parser)


def _add_bus(parser: arguments.Parser) -> None:
    bus = parser.add_argument_group("bus, which connects several servers over NATS")
    bus.add_argument(
        "--bus",
        metavar="URL",
        action="append",
        default=[],
        help="a NATS server: nats://HOST:PORT or tls://HOST:PORT; can be repeated",
    )
    bus.add_argument(
        "--node",
        metavar="NAME",
        help="the unique name of this server, up to 255 bytes; by default, the host name",
    )
    for name, what in _BUS_FILES.items():
        bus.add_argument(f"--bus-{name}", metavar="FILE", type=arguments.file_name, help=what)
    parser.checks.append(_check_bus)


def _check_bus(parsed: argparse.Namespace) -> None:
    names = ["node", *(f"bus_{name}" for name in _BUS_FILES)]
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(parsed, name) is not None]
    if given and not parsed.bus:
        raise ArgumentTypeError(f"{given[0]} needs --bus URL")
    if parsed.bus_key is not None and parsed.bus_cert is None:
        raise ArgumentTypeError("--bus-key needs --bus-cert")


def _pipe(path: str) -> Address:
    arguments.file_name(path)
    return links.address(f"pipe://{Path(path).absolute()}")


def _run(parsed: argparse.Namespace) -> int:
    from .notify_server import run  # imports asyncio, which is slow

    return run(parsed)
