"""``vfiipc inspect``: shows live traffic or a file in a full-screen table."""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentTypeError
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from ...codec import Message
from .. import arguments, links
from ..dump import find_prefix, open_source
from ..failures import Failure
from ..filters import Filter, add_filters, chosen_filter, parse_filter
from ..prefix_finder import Framing
from ..relay import DESCRIPTORS
from ..serving import Serving, add_serving
from ..sources import FORMATS
from ..streams import one_line
from ..view import Way
from .entry_queue import Feed
from .holding import Holding
from .live import Live
from .recorded import Recorded
from .store import Store

__all__ = ["add_to"]

_KEEP: Final = 100_000
_INSTALL: Final = "in a clone of vfiipc: pip install '.[inspect]'"

_MORE = """\
With LISTEN and TARGET, inspect relays the traffic between two programs, like
`vfiipc proxy`, and shows messages as they arrive; they can be held, edited,
dropped and sent again. With FILE it shows a capture, a raw stream or a hex
dump. The main keys are listed at the bottom of the screen; ? shows all keys.

examples:
  vfiipc inspect 5001 127.0.0.1:5000
  vfiipc inspect 5001 127.0.0.1:5000 --hold '--json-match type=payment'
  vfiipc inspect session.pcap --from client
  vfiipc inspect --follow session.pcap --no-payload
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands, "inspect", _run, does="watch and change messages in a live table", more=_MORE
    )
    parser.mixed = True
    parser.add_argument(
        "place",
        metavar="LISTEN|FILE",
        type=arguments.file_name,
        help="where to listen: HOST:PORT, PORT, tls://HOST:PORT, pipe:///PATH, or fd://3 for an "
        "inherited listening socket; without TARGET, the file to read",
    )
    parser.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        type=links.peer_address,
        help="where to connect for each client: HOST:PORT, PORT, tls://HOST:PORT, pipe:///PATH",
    )
    parser.add_argument(
        "--keep",
        metavar="NUMBER",
        type=arguments.count,
        default=_KEEP,
        help=f"number of messages to keep, 1 or more; the oldest are dropped first ({_KEEP:,})",
    )
    parser.add_argument(
        "--hold",
        metavar="FILTER",
        type=_filter,
        help="hold messages that pass this filter: the filters below in one argument, or a regular "
        "expression; '' holds all",
    )
    parser.add_argument(
        "--no-payload",
        action="store_true",
        help="show no data, for card data",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="auto", help="the format of FILE (auto detects it)"
    )
    parser.add_argument("--follow", action="store_true", help="wait for more data as FILE grows")
    arguments.add_framing(parser, default=None, auto=True)
    arguments.add_timeout(parser, "a connection to TARGET")
    add_filters(parser)
    add_serving(parser)
    parser.checks.append(_check_places)  # before the check of TLS, for which LISTEN is an address
    links.add_tls(parser, "place")


def _check_places(parsed: argparse.Namespace) -> None:
    if parsed.target is not None:
        if parsed.follow or parsed.format != "auto":
            raise ArgumentTypeError("--follow and --format need FILE, without TARGET")
        try:
            parsed.place = links.address(parsed.place)
        except ArgumentTypeError as error:
            raise ArgumentTypeError(f"argument LISTEN: {error}") from None
    elif _is_address(parsed.place) and not Path(parsed.place).exists():
        raise ArgumentTypeError(
            f"TARGET is missing, and there is no file {parsed.place!r}; "
            "give LISTEN and TARGET to relay traffic, or a file"
        )
    elif parsed.hold is not None:
        raise ArgumentTypeError("--hold needs LISTEN and TARGET; a file is read-only")
    elif parsed.place == "-":
        raise ArgumentTypeError(
            "the inspector reads keys from standard input; give a file instead of -"
        )


def _is_address(text: str) -> bool:
    try:
        links.address(text)
    except ArgumentTypeError:
        return False
    return True


def _filter(line: str) -> Filter:
    try:
        return parse_filter(line)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _run(parsed: argparse.Namespace) -> int:
    try:
        from .app import Inspector
    except ImportError as error:
        raise Failure(f"the inspector needs Textual ({error}); {_INSTALL}") from error
    # Textual writes to standard error.
    if not all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise Failure("the inspector needs a terminal; `vfiipc proxy` and `dump` do not")
    feed = Feed()
    holding = Holding(parsed.hold)
    with ExitStack() as opened:
        source: LiveSource | FileSource
        if parsed.target is not None:
            source = LiveSource(parsed, feed, holding, opened)
        else:
            source = FileSource(parsed, feed, opened)
        inspector = Inspector(
            source,
            feed,
            Store(parsed.keep),
            holding,
            hidden=parsed.no_payload,
            chosen=chosen_filter(parsed),
        )
        inspector.run()
    return inspector.return_code or 0


class LiveSource:
    """Live traffic: the inspector relays between two programs."""

    is_live = True

    def __init__(
        self, parsed: argparse.Namespace, feed: Feed, holding: Holding, opened: ExitStack
    ) -> None:
        listener, where = links.listen(parsed.place, parsed)
        opened.enter_context(listener)
        self.name = one_line(f"{where} > {links.shown(parsed.target)}")
        self._live = Live(parsed, feed, holding)
        self._serving = Serving("vfiipc inspect", listener, self._live.serve, parsed, DESCRIPTORS)

    def run(self) -> None:
        self._serving.serve()

    def stop(self) -> None:
        self._serving.stop()

    def send(self, way: Way, message: Message) -> bool:
        return self._live.send(way, message)


class FileSource:
    """A file, which is read-only."""

    is_live = False

    def __init__(self, parsed: argparse.Namespace, feed: Feed, opened: ExitStack) -> None:
        path = parsed.place
        source = opened.enter_context(open_source(path, parsed.format, follow=parsed.follow))
        chunks = source.chunks()
        prefix = parsed.prefix
        if prefix is None and not parsed.follow:
            prefix, chunks = find_prefix(path, chunks, parsed.limit)
        self.name = one_line(path)
        framing = Framing(prefix, parsed.limit)
        self._recorded = Recorded(chunks, framing, feed, timed=source.form == "capture")

    def run(self) -> None:
        self._recorded.read()

    def stop(self) -> None:
        self._recorded.stop()

    def send(self, way: Way, message: Message) -> bool:
        return False
