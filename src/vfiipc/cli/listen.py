"""``vfiipc listen``: prints incoming messages, and can answer them."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable

from .. import IPC
from ..codec import MAX_DATA_SIZE
from ..faults import Action, Send, Wait
from ..recording import Annotator, Decoded, Item
from ..testing.script import Reaction
from . import arguments, links
from .answers import Answers, Rule, read_rules
from .failures import describe
from .filters import add_filters, chosen_filter
from .half_close import reset
from .prefix_finder import Framing
from .serving import Serving, add_serving
from .view import Printer, Way, add_view

__all__ = ["add_to"]

_PIECE = 65536

_MORE = """\
Simulates a terminal, or a program that connects to one. Prints the messages of
all connections in both directions, and bytes that are not messages. Without a
host it listens on the loopback interface only. Ctrl-C ends it.

--answers names a JSON file. The first rule that matches a message answers it:
  [{"id": 7, "matches": "^ping", "answer": "pong"},
   {"matches": "\\"amount\\"", "answer": {"result": "OK"}, "answer_id": 1},
   {"answer_hex": "15"}]
id and matches (a regular expression, searched for in the data) are optional. So
is answer_id; the default is the ID of the message. Rules can answer a limited
number of times, in several steps, with a delay, and with faults:
  {"matches": "busy", "times": 2, "delay": 0.5, "answer": "wait"}
  {"steps": [{"answer": "one", "pieces": 3},
             {"delay": 1, "answer": "two", "cut": 9}]}
Delays are in seconds; pieces and cut count bytes. The guide to the tools in the
documentation describes every key.

examples:
  vfiipc listen 5000
  vfiipc listen 127.0.0.1:5000 --prefix 0x004E4659 --answer OK
  vfiipc listen 0.0.0.0:5000 --answers terminal.json --no-payload
  vfiipc listen pipe:///tmp/terminal --json
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands, "listen", _run, does="print incoming messages, and answer them", more=_MORE
    )
    links.add_listening(parser)
    answers = parser.add_mutually_exclusive_group()
    answers.add_argument("--answer", metavar="TEXT", help="answer every message with this text")
    answers.add_argument(
        "--answers",
        metavar="FILE",
        type=arguments.file_name,
        help="answer according to the rules in a JSON file; see below",
    )
    arguments.add_framing(parser, auto=True)
    add_view(parser)
    add_filters(parser)
    add_serving(parser)
    links.add_tls(parser, "address")


def _run(parsed: argparse.Namespace) -> int:
    rules: list[Rule] = []
    if parsed.answers is not None:
        rules = read_rules(parsed.answers)
    elif parsed.answer is not None:
        rules = [Rule(Reaction().answer(os.fsencode(parsed.answer)))]
    listener, where = links.listen(parsed.address, parsed)
    with listener:
        printer = Printer(parsed, parsed.prefix, chosen=chosen_filter(parsed))
        printer.started(where)
        framing = Framing(parsed.prefix, parsed.limit, printer.set_prefix)
        answers = Answers(rules)

        def serve(connection: IPC, number: int) -> None:
            peer = connection.remote_addr() or "peer"
            way = Way(number, peer, connection.local_addr() or where)
            _Conversation(connection, way, printer, answers, framing).hold()

        Serving("vfiipc listen", listener, serve, parsed).serve()
    return 0


class _Conversation:
    """One connection: what comes is printed and answered."""

    def __init__(
        self, connection: IPC, way: Way, printer: Printer, answers: Answers, framing: Framing
    ) -> None:
        self._connection = connection
        self._way = way
        self._printer = printer
        self._answers = answers
        self._framing = framing
        self._sent: Annotator | None = None  # explains what was sent
        self._is_silent = False
        self._how = ""  # how the answers ended the connection

    def hold(self) -> None:
        """Reads and answers until the connection ends."""
        connection = self._connection
        self._printer.event(self._way, "connected", "connected", time.time())
        reader = self._framing.reader()
        try:
            while data := connection.read(_PIECE, -1, 0):
                self._take(reader.feed(data))
            how = f"broke: {describe(connection.last_error)}" if connection.error() else "closed"
        except OSError as error:  # the process has no descriptors left, for example
            how = f"given up: {describe(error)}"
        self._take(reader.finish())
        if self._sent is not None:
            self._print(self._way.reversed(), self._sent.finish())
        self._printer.event(self._way, "closed", self._how or how, time.time())

    def _take(self, items: Iterable[Item]) -> None:
        """Prints received items and answers the messages among them."""
        for item in items:
            self._print(self._way, [item])
            prefix = self._framing.prefix
            if isinstance(item, Decoded) and prefix is not None:
                for action in self._answers.actions(item.message, prefix, self._framing.limit):
                    if self._is_silent or self._how or not self._do(action, prefix):
                        break

    def _do(self, action: Action, prefix: int) -> bool:
        """Carries out one action of an answer; returns whether the next one may follow."""
        if isinstance(action, Wait):
            time.sleep(action.seconds)
        elif isinstance(action, Send):
            if not self._connection.write(action.data):
                return False
            if self._sent is None:
                self._sent = Annotator(prefix, MAX_DATA_SIZE)
            self._print(self._way.reversed(), self._sent.feed(action.data))
        elif action.ending == "silence":
            self._is_silent = True
        else:
            self._how = f"ended by an answer: {action.ending}"
            reset(self._connection) if action.ending == "reset" else self._connection.close()
        return True

    def _print(self, way: Way, items: Iterable[Item]) -> None:
        for item in items:
            self._printer.item(way, item, time.time())
