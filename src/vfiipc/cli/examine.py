"""``vfiipc examine``: checks that a running implementation conforms to the protocol."""

from __future__ import annotations

import argparse
import shlex
from argparse import ArgumentTypeError
from contextlib import suppress
from typing import Final

from . import arguments, links
from .failures import describe

__all__ = ["add_to"]

_LONGEST: Final = 1000.0

_MORE = """\
The peer must send every message it receives back unchanged until the end of the
stream and then close, as `vfiipc echo` does. Each case sends bytes and compares
the answer with what a receiver that conforms to spec/framing.md would deliver.
spec/conformance.md lists the cases.

verdicts: OK; NON-STRICT, for behaviour that is allowed but unusual or not
recommended; INFORMATIONAL; UNIMPLEMENTED, for an optional feature; FAILED;
INCONCLUSIVE, if even a plain message did not come back. Cases that do not apply
to the peer are left out, with the reason.

Exit status: 0 no case is FAILED or INCONCLUSIVE; 1 at least one is; 2 invalid
arguments. With --strict, NON-STRICT counts as well; with --expect, only changes
count. After Ctrl-C, the reports contain the results so far. Report files are
written at the end of the run.

examples:
  vfiipc examine 127.0.0.1:5000
  vfiipc examine 5000 --only '4.*' --only '5.*'
  vfiipc examine --listen 5000 --serial
  vfiipc examine --exec './echo {port} {prefix} {limit}' --html report.html
  vfiipc examine 5000 --save-expect known.json
  vfiipc examine 5000 --expect known.json --junit report.xml
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands,
        "examine",
        _run,
        does="check that an implementation conforms to the protocol",
        more=_MORE,
    )
    parser.mixed = True
    _add_peer(parser)
    arguments.add_framing(parser)
    parser.add_argument(
        "--mode",
        choices=("lenient", "strict", "auto"),
        default="auto",
        help="whether the peer searches for the next message after garbage (lenient) or ends the "
        "connection (strict); auto detects it (auto)",
    )
    _add_choice(parser)
    _add_outcome(parser)
    links.add_tls(parser, "listen")


def _add_peer(parser: arguments.Parser) -> None:
    parser.add_argument(
        "address",
        metavar="ADDRESS",
        nargs="?",
        type=links.peer_address,
        help="where the peer listens: HOST:PORT, PORT, tls://HOST:PORT, pipe:///PATH",
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        type=links.address,
        help="listen here, for a peer that connects again and again: HOST:PORT, PORT, "
        "tls://HOST:PORT, pipe:///PATH, fd://3",
    )
    parser.add_argument(
        "--exec",
        metavar="COMMAND",
        type=_command,
        help="start the peer, and restart it when it ends; {port}, {prefix} and {limit} are "
        "replaced. The command is split into words as a shell does, but runs without a shell. "
        "The peer listens at ADDRESS or, without ADDRESS, on {port} of the loopback interface",
    )
    parser.add_argument(
        "--serial",
        action="store_true",
        help="use one connection at a time, for a peer that serves only one",
    )


def _add_choice(parser: arguments.Parser) -> None:
    parser.add_argument(
        "--only",
        metavar="GLOB",
        action="append",
        default=[],
        help="run only the cases with these IDs: '4.*' or 5.4, for example; can be repeated",
    )
    parser.add_argument(
        "--exclude",
        metavar="GLOB",
        action="append",
        default=[],
        help="leave out the cases with these IDs; can be repeated",
    )
    parser.add_argument("--list", action="store_true", help="list the cases without running them")
    parser.add_argument(
        "--timeout-scale",
        metavar="FACTOR",
        type=_scale,
        default=1.0,
        help="multiply every deadline, for a slow peer or machine: above 0, up to "
        f"{_LONGEST:g}; pauses are not scaled (1)",
    )
    parser.add_argument(
        "--seed",
        metavar="NUMBER",
        type=_seed,
        default=1,
        help="the seed of random choices, 0 or more (1)",
    )


def _add_outcome(parser: arguments.Parser) -> None:
    parser.add_argument(
        "--json",
        metavar="FILE",
        type=arguments.file_name,
        help="write the report as JSON; - for standard output",
    )
    parser.add_argument("--junit", metavar="FILE", type=_file, help="write the report as JUnit XML")
    parser.add_argument("--html", metavar="FILE", type=_file, help="write the report as HTML")
    parser.add_argument(
        "--expect",
        metavar="FILE",
        type=arguments.file_name,
        help="fail only for verdicts that differ from those in the file, for better or worse",
    )
    parser.add_argument(
        "--save-expect",
        metavar="FILE",
        type=_file,
        help="write the verdicts to a file for --expect",
    )
    parser.add_argument("--strict", action="store_true", help="fail for NON-STRICT, too")


def _scale(text: str) -> float:
    with suppress(ValueError):
        scale = float(text)
        if 0 < scale <= _LONGEST:
            return scale
    raise ArgumentTypeError(
        f"{text!r} is not a factor; use a number above 0 and up to {_LONGEST:g}"
    )


def _seed(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 20:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a seed; use a number of up to 19 digits")


def _command(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ArgumentTypeError(
            f"{text!r} cannot be split into words: {describe(error).lower()}"
        ) from None
    if not words:
        raise ArgumentTypeError("the command is empty; use for example './echo {port}'")
    return text


def _file(text: str) -> str:
    if arguments.file_name(text) == "-":
        raise ArgumentTypeError("only --json can write to standard output; name a file")
    return text


def _run(parsed: argparse.Namespace) -> int:
    from .examine_run import run  # imports asyncio, which is slow

    return run(parsed)
