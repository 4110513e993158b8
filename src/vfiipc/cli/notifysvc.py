"""``vfiipc notifysvc``: the server of the notification service."""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError
from pathlib import Path

from ..transport.addresses import Address
from . import arguments, links

__all__ = ["add_to"]

_MORE = """\
Routes notifications between applications, as the terminals' own notifysvc does.
Clients on TCP are remote: the rules of CONFIG hold for them. Clients of --pipe
are local, and may observe. Without CONFIG, it listens at 127.0.0.1:5899 and
everything is allowed. The first lines of output are where it listens.

Each line of CONFIG is a rule, in what remote clients send or out what they get,
or an interface to listen on; with rules alone it listens on all of them:
  in  * * EXT_SYS_*
  out printer till status
  interface eth0

What was refused is logged to standard error, with its IDs alone; NFY_LOGMASK=127
in the environment shows more, 0 nothing.

examples:
  vfiipc notifysvc
  vfiipc notifysvc --listen 127.0.0.1:0 --pipe /tmp/notify
  vfiipc notifysvc notify.cfg
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands, "notifysvc", _run, does="route notifications between applications", more=_MORE
    )
    parser.add_argument("config", metavar="CONFIG", nargs="?", help="the allow list")
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        type=links.address,
        action="append",
        default=[],
        help="where to listen for remote clients, in place of what CONFIG says: HOST:PORT, PORT, "
        "tls://HOST:PORT; may be given several times",
    )
    parser.add_argument(
        "--pipe", metavar="PATH", type=_pipe, help="where to listen for local clients"
    )
    links.add_tls(parser)


def _pipe(path: str) -> Address:
    if not path:
        raise ArgumentTypeError("the path is empty; use for example /tmp/notify")
    return links.address(f"pipe://{Path(path).absolute()}")


def _run(parsed: argparse.Namespace) -> int:
    from .notify_server import run  # asyncio takes its time

    return run(parsed)
