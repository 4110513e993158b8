"""The command ``vfiipc``, also ``python -m vfiipc``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import __version__
from .cli import bench, demo, dump, echo, listen, proxy, replay, send
from .cli.arguments import Parser
from .cli.failures import Failure, describe
from .cli.streams import CLOSED_OUTPUT, complain, finish_output

__all__ = ["main"]

_COMMANDS = (demo, echo, send, listen, proxy, dump, replay, bench)
_INTERRUPTED = 130  # as shells give it: 128 + SIGINT

_MORE = """\
examples:
  vfiipc demo                        watch two processes talk
  vfiipc echo 127.0.0.1:5000         a server that answers with what it gets
  vfiipc send 127.0.0.1:5000 hello   a client
  vfiipc listen 5000 --answer OK     stand in for a terminal
  vfiipc proxy 5001 127.0.0.1:5000   watch two programs, record what they say
  vfiipc dump session.pcap           explain a recording

`vfiipc COMMAND --help` tells more. Exit status: 0 done; 1 not done, for the
reason given; 2 wrong arguments; 130 ended by Ctrl-C.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments behind the program's name; those of the process where none are given.

    Returns:
        The exit status: 0; 1 for what could not be done; 2 for wrong arguments; 130 after Ctrl-C;
        141 when nobody reads the output any more.
    """
    try:
        status = _run(argv)
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except OSError as error:  # connections never raise one, so it is the output
        status = _without_output(error)
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
    try:
        return int(parsed.run(parsed))
    except Failure as failure:
        complain(f"vfiipc {parsed.command}", str(failure))
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
