"""``vfiipc notifysvc``: the server of the notification service."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from ..notify.allow import AllowList, ConfigError, ResultCode
from ..notify.config import listening_addresses, read_allow_list
from ..notify.service import serve
from ..transport.addresses import Address
from ..transport.logs import follow_masks
from . import arguments, links
from .failures import Failure, Malformed, describe
from .streams import one_line, say
from .tasks import run_task
from .tls_contexts import server_context

__all__ = ["add_to"]

#: What is logged if NFY_LOGMASK says nothing else: NOTICE, and all that is worse.
_MASK = "63"

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
    parser.add_argument("--pipe", metavar="PATH", help="where to listen for local clients")
    links.add_tls(parser)


def _run(parsed: argparse.Namespace) -> int:
    allow = _allow_list(parsed.config)
    if "NFY_LOGMASK" not in os.environ:
        follow_masks({"NFY_LOGMASK": _MASK})
    return run_task(_serve(parsed, allow))


def _allow_list(path: str | None) -> AllowList | None:
    try:
        return read_allow_list(path) if path is not None else None
    except ConfigError as error:
        said = f"{error} ({error.code.name}, {error.code.value})"
        wrong = error.code is ResultCode.NOTIFY_ERR_CONFIG_SYNTAX
        raise Malformed(said) if wrong else Failure(said) from None


async def _serve(parsed: argparse.Namespace, allow: AllowList | None) -> int:
    try:
        addresses = list(map(str, parsed.listen)) or listening_addresses(allow)
    except OSError as error:
        raise Failure(f"cannot listen: {describe(error)}") from None
    if parsed.pipe is not None:
        addresses.append(str(Address("pipe", path=str(Path(parsed.pipe).absolute()))))
    encrypted = [address for address in addresses if address.startswith("tls://")]
    ssl = server_context(parsed, encrypted[0]) if encrypted else None
    async with serve(*addresses, allow=allow, ssl=ssl) as service:
        for address in service.addresses:
            say(f"listening at {one_line(address.removeprefix('tcp://'))}")
        await asyncio.Event().wait()  # for ever
    return 0
