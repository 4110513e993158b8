"""``vfiipc echo``: sends every message back."""

from __future__ import annotations

import argparse

from .. import IPC
from . import arguments, links
from .failures import describe
from .serving import Serving, add_serving
from .streams import one_line, say

__all__ = ["add_to"]

_MORE = """\
Without a host it listens on the loopback interface only. The first line of
output is the address. Ctrl-C ends it.

examples:
  vfiipc echo                        a free port, for programs on this machine
  vfiipc echo 127.0.0.1:5000         a port of your choice
  vfiipc echo 0.0.0.0:5000           for every machine that can reach this one
  vfiipc echo --prefix 0x004E4659 --limit 64K
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands, "echo", _run, does="send every message back", more=_MORE
    )
    links.add_listening(parser)
    arguments.add_framing(parser)
    parser.add_argument(
        "--strict",
        action="store_true",
        help="end a connection at the first byte that does not belong to a message",
    )
    add_serving(parser)
    links.add_tls(parser, "address")


def _run(parsed: argparse.Namespace) -> int:
    listener, where = links.listen(parsed.address, parsed)
    with listener:
        say(f"listening at {one_line(where)}")
        echo = _Echo(parsed.prefix, parsed.limit, strict=parsed.strict)
        Serving("vfiipc echo", listener, echo.serve, parsed).serve()
    return 0


class _Echo:
    """Serves one connection after the other; a handler for ``Serving``."""

    def __init__(self, prefix: int, limit: int, *, strict: bool) -> None:
        self._prefix = prefix
        self._limit = limit
        self._strict = strict

    def serve(self, connection: IPC, number: int) -> None:
        peer = one_line(connection.remote_addr()) or f"connection {number}"
        say(f"{peer} connected")
        connection.strict = self._strict
        count = 0
        how = ""
        try:
            while (message := connection.read_msg(self._prefix, self._limit)) is not None:
                if not connection.write_msg(self._prefix, message.msg_id, message.data):
                    break
                count += 1
        except OSError as error:  # the process has no descriptors left, for example
            how = f"given up: {describe(error)}"
        if connection.error():
            how = f"broke: {describe(connection.last_error)}"
        elif connection.eof():
            how = "closed"
        if not how:
            return  # the program is about to end
        text = f"{peer} {how}; messages answered: {count:,}"
        text += f"; bytes discarded: {connection.discarded:,}"
        if connection.discarded and not count:
            text += (
                f"; no message has the prefix {arguments.show_prefix(self._prefix)}: try --prefix"
            )
        say(text)
