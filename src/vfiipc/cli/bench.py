"""``vfiipc bench``: measures latency and throughput of a peer that echoes messages."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from .. import IPC
from ..codec import Message
from . import arguments, links
from .failures import INSTALL_CLI, Failure, no_answer
from .incoming import Incoming
from .streams import note, say

__all__ = ["add_to", "percentile"]

_PERCENTS = (50.0, 90.0, 99.0, 99.9, 100.0)

_MORE = """\
The peer must echo every message, as `vfiipc echo` does. The first part times
single round trips. The second part sends messages as fast as the peer accepts
them and reads the answers meanwhile. Results include the cost of this program
and of the network; only compare results from the same machine. A message that
comes back changed ends the run with exit status 1.

examples:
  vfiipc bench 127.0.0.1:5000
  vfiipc bench 127.0.0.1:5000 --size 1K --count 20000
  vfiipc bench pipe:///run/terminal --json
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands,
        "bench",
        _run,
        does="measure round trips and throughput of a peer that echoes",
        more=_MORE,
    )
    links.add_peer(parser)
    parser.add_argument(
        "--size",
        metavar="BYTES",
        type=arguments.limit,
        default=64,
        help="bytes of data in each message, up to --limit; suffixes K, M and G are allowed (64)",
    )
    parser.add_argument(
        "--count",
        metavar="NUMBER",
        type=arguments.count,
        default=5000,
        help="messages in each part, 1 or more (5000)",
    )
    arguments.add_framing(parser)
    arguments.add_timeout(parser, "the connection, and for each answer")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, with times in seconds"
    )
    links.add_tls(parser)


class _Result(NamedTuple):
    size: int
    times: list[float]  #: of the round trips, in seconds, ascending
    whole: float  #: seconds for all messages at full speed


def _run(parsed: argparse.Namespace) -> int:
    if parsed.size > parsed.limit:
        raise Failure(f"--size {parsed.size:,} is above --limit {parsed.limit:,}")
    with links.dial(parsed.address, parsed.timeout, parsed) as peer:
        bench = _Bench(peer, parsed)
        times = [bench.first_round_trip()]
        times += [bench.round_trip(number) for number in range(1, parsed.count)]
        times.sort()
        result = _Result(parsed.size, times, bench.all_at_once(parsed.count))
    if parsed.json:
        say(json.dumps(_values(result)))
    elif sys.stdout is not None and sys.stdout.isatty() and _table(result):
        pass
    else:
        for name, value in _rows(result):
            say(f"{name:24}  {value:>14}")
    return 0


class _Bench:
    """Messages to the peer and back."""

    def __init__(self, peer: IPC, parsed: argparse.Namespace) -> None:
        self._peer = peer
        self._prefix = parsed.prefix
        self._limit = parsed.limit
        self._timeout = parsed.timeout
        self._place = links.shown(parsed.address)
        self._data = bytes(index & 0xFF for index in range(251)) * (parsed.size // 251 + 1)
        self._data = self._data[: parsed.size]

    def first_round_trip(self) -> float:
        """As ``round_trip``, for message 0; suggests a prefix if the answer is not recognised."""
        start = time.perf_counter()
        self._send(0)
        incoming = Incoming(self._peer, self._prefix, self._limit)
        answer = incoming.next_message(self._timeout)
        if answer is None:
            raise self._failure(incoming.discarded)
        self._check(0, answer)
        if incoming.has_more:
            raise Failure(f"{self._place} is not an echo: it sent more than the message back")
        return time.perf_counter() - start

    def round_trip(self, number: int) -> float:
        """The seconds from sending a message until it is back."""
        start = time.perf_counter()
        self._send(number)
        self._receive(number)
        return time.perf_counter() - start

    def all_at_once(self, count: int) -> float:
        """The seconds until all are back."""
        messages = (Message(number, self._data) for number in range(count))
        sender = threading.Thread(
            target=self._peer.write_msgs, args=(self._prefix, messages), daemon=True
        )
        start = time.perf_counter()
        sender.start()
        try:
            for number in range(count):
                self._receive(number)
        except BaseException:
            self._peer.close()  # unblocks the sender
            raise
        finally:
            sender.join()
        return time.perf_counter() - start

    def _send(self, number: int) -> None:
        if not self._peer.write_msg(self._prefix, number, self._data, self._timeout):
            raise self._failure()

    def _receive(self, number: int) -> None:
        answer = self._peer.read_msg(self._prefix, self._limit, self._timeout)
        if answer is None:
            raise self._failure()
        self._check(number, answer)

    def _check(self, number: int, answer: Message) -> None:
        if answer != (number, self._data):
            raise Failure(f"{self._place} is not an echo: message {number} came back changed")

    def _failure(self, discarded: int = 0) -> Failure:
        return no_answer(self._peer, self._place, self._timeout, self._prefix, discarded)


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` % of the values do not exceed.

    Args:
        ascending: one value or more.
        percent: above 0, up to 100.
    """
    rank = -(-len(ascending) * percent // 100)
    return ascending[max(0, int(rank) - 1)]


def _values(result: _Result) -> dict[str, object]:
    count = len(result.times)
    return {
        "size": result.size,
        "count": count,
        "round_trip": {f"p{percent:g}": percentile(result.times, percent) for percent in _PERCENTS},
        "round_trips_per_second": count / sum(result.times),
        "messages_per_second": count / result.whole,
        "bytes_per_second": count * result.size / result.whole,
    }


def _rows(result: _Result) -> list[tuple[str, str]]:
    count = len(result.times)
    rows = [("messages in each part", f"{count:,}"), ("bytes of data in each", f"{result.size:,}")]
    for percent in _PERCENTS:
        name = "slowest round trip" if percent == 100 else f"round trip, {percent:g} %"
        rows.append((name, f"{percentile(result.times, percent) * 1e6:,.0f} µs"))
    rows.append(("round trips", f"{count / sum(result.times):,.0f} /s"))
    rows.append(("messages at full speed", f"{count / result.whole:,.0f} /s"))
    rows.append(("data at full speed", f"{count * result.size / result.whole / 1e6:,.1f} MB/s"))
    return rows


def _table(result: _Result) -> bool:
    """Prints a table with rich, where that is installed."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        note(f"a nicer table needs rich; {INSTALL_CLI}")
        return False
    table = Table()
    table.add_column("each way and back")
    table.add_column("result", justify="right")
    for name, value in _rows(result):
        table.add_row(name, value)
    console = Console()
    with console.capture() as captured:
        console.print(table)
    say(captured.get().rstrip("\n"))
    return True
