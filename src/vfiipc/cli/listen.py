"""``vfiipc listen``: prints what comes in, and answers if told to."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable, Sequence

from .. import IPC
from ..codec import HEADER_SIZE, Message
from ..recording import Decoded, Item
from . import arguments, links
from .answers import Rule, answer_to, read_rules
from .failures import describe
from .filters import add_filters, chosen_filter
from .finding import Framing
from .serving import Serving, add_serving
from .view import Printer, Way, add_view

__all__ = ["add_to"]

_PIECE = 65536

_MORE = """\
Stands in for a terminal, or for the program that talks to one. Prints every
message of every connection, both ways, and what is no message. Without a host
it listens on the loopback alone. Ctrl-C ends it.

--answers names a JSON file. The first rule that fits a message answers it:
  [{"id": 7, "matches": "^ping", "answer": "pong"},
   {"matches": "\\"amount\\"", "answer": {"result": "OK"}, "answer_id": 1},
   {"answer_hex": "15"}]
id and matches (a regular expression, found in the data) may be left out, and
answer_id, too, which is otherwise the ID of the message.

examples:
  vfiipc listen 5000
  vfiipc listen 127.0.0.1:5000 --prefix 0x004E4659 --answer OK
  vfiipc listen 0.0.0.0:5000 --answers terminal.json --no-payload
  vfiipc listen pipe:///tmp/terminal --json
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands, "listen", _run, does="print every message that comes in, and answer", more=_MORE
    )
    links.add_listening(parser)
    answers = parser.add_mutually_exclusive_group()
    answers.add_argument("--answer", metavar="TEXT", help="answer every message with this")
    answers.add_argument("--answers", metavar="FILE", help="answer by the rules in a JSON file")
    arguments.add_framing(parser, auto=True)
    add_view(parser)
    add_filters(parser)
    add_serving(parser)
    links.add_tls(parser)


def _run(parsed: argparse.Namespace) -> int:
    rules: list[Rule] = []
    if parsed.answers is not None:
        rules = read_rules(parsed.answers)
    elif parsed.answer is not None:
        rules = [Rule(os.fsencode(parsed.answer))]
    listener, where = links.listen(parsed.address, parsed)
    with listener:
        printer = Printer(parsed, parsed.prefix, chosen=chosen_filter(parsed))
        printer.started(where)
        framing = Framing(parsed.prefix, parsed.limit, printer.set_prefix)
        talk = _Talk(printer, rules, framing, where)
        Serving("vfiipc listen", listener, talk.serve, parsed).serve()
    return 0


class _Talk:
    """What is done with each connection."""

    def __init__(
        self, printer: Printer, rules: Sequence[Rule], framing: Framing, where: str
    ) -> None:
        self._printer = printer
        self._rules = rules
        self._framing = framing
        self._where = where

    def serve(self, connection: IPC, number: int) -> None:
        peer = connection.remote_addr() or "peer"
        here = connection.local_addr() or self._where
        way = Way(number, peer, here)
        ways = (way, way.reversed())
        self._printer.event(way, "connected", "connected", time.time())
        reader = self._framing.reader()
        sent = 0
        try:
            while data := connection.read(_PIECE, -1, 0):
                sent = self._take(connection, reader.feed(data), ways, sent)
            how = f"broke: {describe(connection.last_error)}" if connection.error() else "closed"
        except OSError as error:  # the process has no descriptors left, for example
            how = f"given up: {describe(error)}"
        self._take(connection, reader.finish(), ways, sent)
        self._printer.event(way, "closed", how, time.time())

    def _take(self, connection: IPC, items: Iterable[Item], ways: tuple[Way, Way], at: int) -> int:
        """Prints what came, answers it; ``at`` bytes were sent so far, and so many are then."""
        for item in items:
            self._printer.item(ways[0], item, time.time())
            if not isinstance(item, Decoded):
                continue
            answer = answer_to(self._rules, item.message)
            if answer is not None and self._send(connection, answer):
                self._printer.item(ways[1], Decoded(at, answer), time.time())
                at += HEADER_SIZE + len(answer.data)
        return at

    def _send(self, connection: IPC, answer: Message) -> bool:
        prefix = self._framing.prefix
        return prefix is not None and connection.write_msg(prefix, *answer)
