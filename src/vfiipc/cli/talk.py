"""``vfiipc talk``: an interactive conversation with a peer, line by line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import arguments, links
from .conversation import Conversation
from .failures import INSTALL_CLI, Failure, Malformed
from .streams import complain, note, say
from .talk_input import COMMANDS, HELP, Typed, read_line
from .view import Printer, add_view

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

__all__ = ["add_to"]

_MORE = """\
Each line you type is sent as a message; messages that arrive are printed at
once. Lines that begin with a slash are commands: /hex, /json, /file, /raw, /id,
/prefix, /reconnect, /quit. /help describes them; // sends a slash. The arrow
keys recall earlier lines; they are not saved when the program ends.

If input or output is redirected, talk reads lines from standard input and
prints what arrives as JSON lines. At the end of the input it waits until
nothing has arrived for --wait seconds. An invalid line, or one that cannot be
sent, ends the program.

examples:
  vfiipc talk 127.0.0.1:5000
  vfiipc talk tls://terminal.example:5000 --ca ca.pem --prefix 0x004E4659
  printf '/id 7\\nping\\n' | vfiipc talk 5000 | jq -r .text
  vfiipc talk 5000 --wait 5 < requests.txt > answers.jsonl
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands, "talk", _run, does="exchange messages interactively, line by line", more=_MORE
    )
    links.add_peer(parser)
    arguments.add_msg_id(parser, "the ID of messages until /id changes it")
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=arguments.delay,
        default=1.0,
        help="at the end of the input, wait until nothing has arrived for this time; 0 or more (1)",
    )
    arguments.add_framing(parser)
    arguments.add_timeout(parser, "the connection, and for the peer to take what is sent")
    add_view(parser)
    links.add_tls(parser)


def _run(parsed: argparse.Namespace) -> int:
    if sys.stdin is None:
        raise Failure("standard input is closed; the lines to send are read from it")
    if sys.stdin.isatty() and sys.stdout.isatty():
        session = _session()
        if session is not None:
            return _Prompt(parsed, session).run()
        return _talk_in_lines(parsed, can_correct=True)
    parsed.json = True
    return _talk_in_lines(parsed, can_correct=False)


# --- without a prompt -----------------------------------------------------------------------------


def _talk_in_lines(parsed: argparse.Namespace, *, can_correct: bool) -> int:
    """Sends each line; a line that fails ends it, unless somebody types who ``can_correct`` it."""
    msg_id = parsed.id
    with Conversation(parsed, Printer(parsed, parsed.prefix)) as talk:
        for number, line in enumerate(_lines(), 1):
            try:
                typed = read_line(line)
                if typed.what == "quit":
                    break
                if typed.what == "help":
                    note(HELP)
                msg_id = _carry_out(typed, talk, msg_id)
            except (ValueError, Failure) as error:
                if can_correct:
                    _complain(error, talk)
                elif isinstance(error, Failure):
                    raise
                else:
                    raise Malformed(f"line {number}: {error}") from None
        talk.wait_until_quiet(parsed.wait)
        return 1 if talk.broken else 0


def _lines() -> Iterator[str]:
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")


def _carry_out(typed: Typed, talk: Conversation, msg_id: int) -> int:
    """Carries out a line; returns the ID of the messages that follow."""
    if typed.what == "send":
        talk.send(msg_id, typed.value)
    elif typed.what == "raw":
        talk.send_raw(typed.value)
    elif typed.what == "prefix":
        talk.set_prefix(typed.value)
    elif typed.what == "reconnect":
        talk.reconnect()
    elif typed.what == "id":
        return int(typed.value)
    return msg_id


def _complain(error: Exception, talk: Conversation) -> None:
    ended = "; /reconnect connects again" if talk.said_at_end else ""
    complain("vfiipc talk", f"{error}{ended}")


# --- at a terminal --------------------------------------------------------------------------------


def _session() -> PromptSession[str] | None:
    try:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter
    except ImportError:
        note(f"editing and recalling lines needs prompt_toolkit; {INSTALL_CLI}")
        return None
    names = WordCompleter([f"/{name}" for name in COMMANDS], sentence=True)
    return PromptSession(completer=names, complete_while_typing=False)


class _Prompt:
    """The conversation at a terminal: a prompt, and what arrives above it."""

    def __init__(self, parsed: argparse.Namespace, session: PromptSession[str]) -> None:
        self._parsed = parsed
        self._session = session
        self._msg_id: int = parsed.id

    def run(self) -> int:
        """Reads and carries out lines until the user ends it."""
        printer = Printer(self._parsed, self._parsed.prefix)
        with Conversation(self._parsed, printer, self._session.app.invalidate) as talk:
            note(f"connected to {talk.place}; /help lists the commands, Ctrl-D exits")
            with _printing_above():
                while (line := self._line(talk)) is not None:
                    if not self._take(line, talk):
                        break
        return 0

    def _line(self, talk: Conversation) -> str | None:
        def state() -> str:
            return talk.said_at_end or f"{talk.place}  {arguments.show_prefix(talk.prefix)}"

        try:
            return self._session.prompt(f"id {self._msg_id}> ", bottom_toolbar=state)
        except KeyboardInterrupt:
            return ""
        except EOFError:
            return None

    def _take(self, line: str, talk: Conversation) -> bool:
        """Carries out a line; returns whether to continue."""
        try:
            typed = read_line(line)
            if typed.what == "quit":
                return False
            if typed.what == "help":
                say(HELP)
            self._msg_id = _carry_out(typed, talk, self._msg_id)
            if typed.what == "reconnect":
                say(f"connected to {talk.place}")
        except (ValueError, Failure) as error:
            _complain(error, talk)
        return True


@contextmanager
def _printing_above() -> Iterator[None]:
    """Within the ``with`` block, output appears above the prompt."""
    from prompt_toolkit.patch_stdout import patch_stdout

    with patch_stdout(raw=True):
        yield
