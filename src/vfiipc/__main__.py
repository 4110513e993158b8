"""The command ``vfiipc``, also ``python -m vfiipc``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import __version__
from .cli import bench, demo, dump, echo, examine, listen, proxy, replay, send
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

_COMMANDS = (demo, echo, send, listen, proxy, dump, replay, bench, examine)
_INTERRUPTED = 130  # as shells give it: 128 + SIGINT

_MORE = """\
examples:
  vfiipc demo                        watch two processes talk
  vfiipc echo 127.0.0.1:5000         a server that answers with what it gets
  vfiipc send 127.0.0.1:5000 hello   a client
  vfiipc listen 5000 --answer OK     stand in for a terminal
  vfiipc proxy 5001 127.0.0.1:5000   watch two programs, record what they say
  vfiipc dump session.pcap           explain a recording
  vfiipc examine 127.0.0.1:5000      does a program keep to the protocol

`vfiipc COMMAND --help` tells more. Exit status: 0 done; 1 not done, for the
reason given; 2 wrong arguments, or a malformed file of answers; 130 ended by
Ctrl-C, 143 by SIGTERM; 141 nobody reads the output any more.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments behind the program's name; those of the process where none are given.

    Returns:
        The exit status: 0; 1 for what could not be done; 2 for wrong arguments or a malformed file
        of answers; 130 after Ctrl-C, 128 and its number after another signal; 141 when nobody reads
        the output any more.
    """
    prepare_streams()
    try:
        with ending_signals():
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
        parsed = _parser().parse_args(argv)
    except SystemExit as ended:
        return int(ended.code or 0)
    program = f"vfiipc {parsed.command}"
    if sys.stdout is None:
        complain(program, "standard output is closed; send it to /dev/null if nobody wants it")
        return 1
    try:
        return int(parsed.run(parsed))
    except Failure as failure:
        complain(program, str(failure))
        return failure.status
    except (OSError, MemoryError) as error:  # the system lacks something
        complain(program, describe(error))
        return 1


def _parser() -> Parser:
    parser = Parser(
        prog="vfiipc",
        description="ADK IPC messages: send, receive, watch, record and explain them.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"vfiipc {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
