"""``vfiipc notifysvc``: the server of the notification service."""

from __future__ import annotations

import argparse

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

With --bus, servers are as one: a notification finds the application wherever it
is registered. Each takes a name of its own. Local clients stay local; the other
servers count as remote, so that the rules of CONFIG hold for what comes and goes.

examples:
  vfiipc notifysvc
  vfiipc notifysvc --listen 127.0.0.1:0 --pipe /tmp/notify
  vfiipc notifysvc notify.cfg
  vfiipc notifysvc --bus nats://bus.example:4222 --node gateway-1
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
    parser.add_argument("--pipe", metavar="PATH", help="where to listen for local clients")
    links.add_tls(parser)
    _add_bus(parser)


def _add_bus(parser: arguments.Parser) -> None:
    bus = parser.add_argument_group("for several servers as one, over NATS")
    bus.add_argument(
        "--bus",
        metavar="URL",
        action="append",
        default=[],
        help="a NATS server, nats://HOST:PORT or tls://HOST:PORT; may be given several times",
    )
    bus.add_argument(
        "--node", metavar="NAME", help="what no other server is called; by default this host's name"
    )
    bus.add_argument("--bus-creds", metavar="FILE", help="credentials: a JWT and its seed")
    bus.add_argument("--bus-nkey", metavar="FILE", help="credentials: an NKey seed")
    bus.add_argument("--bus-ca", metavar="FILE", help="who has to have signed its certificate")
    bus.add_argument("--bus-cert", metavar="FILE", help="the own certificate for it")
    bus.add_argument("--bus-key", metavar="FILE", help="its key, where --bus-cert does not hold it")


def _run(parsed: argparse.Namespace) -> int:
    from .notify_server import run  # asyncio takes its time

    return run(parsed)
