"""The command ``vfiipc``, also ``python -m vfiipc``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Final

from . import __version__
from .cli import completion
from .cli.arguments import Parser
from .cli.failures import Failure, describe
from .cli.signals import Ended, ending_signals
from .cli.streams import (
    CLOSED_OUTPUT,
    OutputFailed,
    complain,
    finish_output,
    prepare_streams,
)

__all__ = ["main"]

# Each command, and its module in `cli`, which is imported when the command is chosen.
_COMMANDS: Final = {
    "demo": "demo",
    "echo": "echo",
    "send": "send",
    "talk": "talk",
    "listen": "listen",
    "proxy": "proxy",
    "inspect": "inspector.command",
    "dump": "dump",
    "replay": "replay",
    "bench": "bench",
    "examine": "examine",
    "notifysvc": "notifysvc",
    "notify": "notify",
    "spec": "spec",
    "completion": "completion",
}
_INTERRUPTED = 130  # the shell convention: 128 + SIGINT

_MORE = """\
examples:
  vfiipc demo                         watch two processes talk
  vfiipc echo 127.0.0.1:5000          a server that echoes every message
  vfiipc send 127.0.0.1:5000 hello    a client
  vfiipc talk 127.0.0.1:5000          a conversation, line by line
  vfiipc listen 5000 --answer OK      simulate a terminal
  vfiipc proxy 5001 127.0.0.1:5000    watch the traffic of two programs
  vfiipc inspect 5001 127.0.0.1:5000  the same in a table; hold and edit
  vfiipc dump session.pcap            decode a recording
  vfiipc examine 127.0.0.1:5000       check that a program conforms
  vfiipc spec --to protocol           write out the specification

Run `vfiipc COMMAND --help` for details. Exit status: 0 success; 1 failure, with
the reason on standard error; 2 invalid arguments or a malformed input file; 130
ended by Ctrl-C, 143 by SIGTERM; 141 the reader of the output has gone.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments after the program's name; by default, those of the process.

    Returns:
        The exit status: 0 for success; 1 for a failure; 2 for invalid arguments or a malformed
        input file; 130 after Ctrl-C; 128 plus the signal number after another signal; 141 when
        the reader of the output has gone.
    """
    return _status(argv)


def run() -> int:
    """The program: ``main`` in a process that exits afterwards."""
    return _status(None, exits=True)


def _status(argv: Sequence[str] | None, *, exits: bool = False) -> int:
    prepare_streams()
    with ending_signals(exits=exits):
        try:
            status = _run(argv)
        except Ended as ended:
            status = ended.status
        except KeyboardInterrupt:
            status = _INTERRUPTED
        except OutputFailed as failed:
            status = _without_output(failed.error)
        unwritten = finish_output()
    return _without_output(unwritten) if unwritten and not status else status


def _without_output(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        return CLOSED_OUTPUT
    complain("vfiipc", f"cannot write the output: {describe(error)}")
    return 1


def _run(argv: Sequence[str] | None) -> int:
    try:
        completion.complete(_parser)
        words = sys.argv[1:] if argv is None else argv
        parsed = _parser(_named(words)).parse_args(words)
    except SystemExit as ended:
        return int(ended.code or 0)
    program = f"vfiipc {parsed.command}"
    if sys.stdout is None:
        complain(program, "standard output is closed; redirect it to /dev/null to discard it")
        return 1
    try:
        return int(parsed.run(parsed))
    except Failure as failure:
        complain(program, str(failure))
        return failure.status
    except (OSError, MemoryError) as error:  # out of descriptors, memory, disk space
        complain(program, describe(error))
        return 1


def _named(words: Sequence[str]) -> Iterable[str]:
    """The command that the arguments name; all commands if it must be chosen, or help is shown."""
    return words[:1] if words and words[0] in _COMMANDS else _COMMANDS


def _parser(names: Iterable[str] = _COMMANDS) -> Parser:
    parser = Parser(
        prog="vfiipc",
        description="Send, receive, watch, record and decode ADK IPC messages.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"vfiipc {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names:
        import_module(f"{__package__}.cli.{_COMMANDS[name]}").add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(run())
