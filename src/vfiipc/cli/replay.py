"""``vfiipc replay``: sends one side of a recording and compares the answers."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .. import IPC
from ..codec import HEADER_SIZE, Message
from ..recording import Annotator, Chunk, Decoded
from . import arguments, links
from .dump import find_prefix, open_source
from .failures import Failure, describe, seconds
from .sources import FORMATS, Damaged
from .view import NOWHERE, Printer, add_view

__all__ = ["add_to"]

_MORE = """\
From a capture, such as `vfiipc proxy --record` writes, replay sends the bytes
of one side of a connection, waits for each recorded answer, and compares ID and
data with the recording. From a raw stream or a hex dump, it sends all bytes and
prints the answers until none has arrived for --timeout.

Exit status 1 if an answer differs, is missing or is unexpected.

examples:
  vfiipc replay session.pcap 127.0.0.1:5000
  vfiipc replay session.pcap 127.0.0.1:5000 --connection 2
  vfiipc replay requests.bin 127.0.0.1:5000 --prefix 0x004E4659 --timeout 1
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands,
        "replay",
        _run,
        does="send one side of a recording, compare the answers",
        more=_MORE,
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        type=arguments.file_name,
        help="the recording; - for standard input",
    )
    links.add_peer(parser)
    parser.add_argument(
        "--side",
        choices=("client", "server"),
        default="client",
        help="whose bytes to send: client is the side that connected (client)",
    )
    parser.add_argument(
        "--connection",
        metavar="NUMBER",
        type=arguments.count,
        help="the number of the connection, as in `vfiipc dump --connection`; by default, the "
        "first with messages",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="auto", help="the format of FILE (auto)"
    )
    arguments.add_framing(parser, default=None, auto=True)
    arguments.add_timeout(parser, "the connection, and for each answer")
    add_view(parser)
    links.add_tls(parser)


_NOTHING_TO_COMPARE = (
    "the recording has no answers to the {}, so there is nothing to compare; nothing was sent; "
    "choose with --side and --connection"
)


class _ReplayStep(NamedTuple):
    """Bytes to send, or the message that must arrive."""

    send: bytes = b""
    expect: Message | None = None


def _run(parsed: argparse.Namespace) -> int:
    with open_source(parsed.file, parsed.format) as source:
        chunks = source.chunks()
        prefix = parsed.prefix
        try:
            if prefix is None:
                prefix, chunks = find_prefix(parsed.file, chunks, parsed.limit)
            recorded = source.form == "capture"
            steps = list(_steps(list(chunks), parsed, prefix))
        except Damaged as error:  # an incomplete recording cannot be compared
            raise Failure(f"{parsed.file}: {error}") from error
    if recorded and all(step.expect is None for step in steps):
        raise Failure(_NOTHING_TO_COMPARE.format(parsed.side))
    with links.dial(parsed.address, parsed.timeout, parsed) as peer:
        replay = _Replay(peer, parsed, prefix)
        return replay.compare(steps) if recorded else replay.print_answers(steps)


def _steps(chunks: list[Chunk], parsed: argparse.Namespace, prefix: int) -> Iterator[_ReplayStep]:
    """Yields the steps in the order of the recording."""
    number = parsed.connection
    if number is None:
        number = _first_with_messages(chunks, parsed, prefix)
    chosen = [chunk for chunk in chunks if chunk.connection.number == number]
    if not chosen:
        raise Failure(f"{parsed.file}: there is no connection {number}; `vfiipc dump` lists them")
    annotator = Annotator(prefix, parsed.limit)
    for chunk in chosen:
        if chunk.gap:
            raise Failure(
                f"connection {number} was not recorded completely: {chunk.gap:,} bytes are missing"
            )
        if chunk.from_client == (parsed.side == "client"):
            if chunk.data:
                yield _ReplayStep(send=chunk.data)
        else:
            for item in annotator.feed(chunk.data):
                if isinstance(item, Decoded):
                    yield _ReplayStep(expect=item.message)


def _first_with_messages(chunks: Iterable[Chunk], parsed: argparse.Namespace, prefix: int) -> int:
    found: dict[tuple[int, bool], Annotator] = {}
    for chunk in chunks:
        key = (chunk.connection.number, chunk.from_client)
        annotator = found.setdefault(key, Annotator(prefix, parsed.limit))
        if chunk.gap:
            del found[key]
        elif any(isinstance(item, Decoded) for item in annotator.feed(chunk.data)):
            return key[0]
    said = f"no message with the prefix {arguments.show_prefix(prefix)} in the recording"
    raise Failure(f"{parsed.file}: {said}; set the prefix with --prefix")


class _Replay:
    """The conversation with the peer."""

    def __init__(self, peer: IPC, parsed: argparse.Namespace, prefix: int) -> None:
        self._peer = peer
        self._parsed = parsed
        self._prefix = prefix
        self._place = links.shown(parsed.address)
        self._printer = Printer(parsed, prefix)
        self._position = 0

    def compare(self, steps: Iterable[_ReplayStep]) -> int:
        """Replays the recording; returns the exit status."""
        same = different = 0
        for step in steps:
            if step.expect is None:
                self._send(step.send)
                continue
            answer = self._receive()
            if answer is None:
                raise Failure(self._silence(same, different))
            if answer == step.expect:
                same += 1
            else:
                different += 1
                self._show_difference(step.expect, answer)
        # An extra answer arrives soon, if at all.
        extra = self._peer.read_msg(self._prefix, self._parsed.limit, 200)
        if extra is not None:
            self._printer.event(NOWHERE, "unexpected", "an answer that was not recorded:")
            self._show(extra)
        said = f"answers as recorded: {same:,}; different: {different:,}"
        self._printer.event(NOWHERE, "result", said)
        return 1 if different or extra is not None else 0

    def print_answers(self, steps: Iterable[_ReplayStep]) -> int:
        """Sends everything and prints the answers; returns the exit status."""
        for step in steps:
            self._send(step.send)
        while (answer := self._receive()) is not None:
            self._show(answer)
        return 0

    def _send(self, data: bytes) -> None:
        if not self._peer.write(data, self._parsed.timeout):
            reason = describe(self._peer.last_error)
            raise Failure(f"cannot send to {self._place}: {reason}")

    def _receive(self) -> Message | None:
        return self._peer.read_msg(self._prefix, self._parsed.limit, self._parsed.timeout)

    def _show(self, message: Message) -> None:
        self._printer.item(NOWHERE, Decoded(self._position, message))
        self._position += HEADER_SIZE + len(message.data)

    def _show_difference(self, expected: Message, answer: Message) -> None:
        self._printer.event(NOWHERE, "difference", "the recorded answer, then the current one:")
        self._printer.item(NOWHERE, Decoded(self._position, expected))
        self._show(answer)

    def _silence(self, same: int, different: int) -> str:
        said = f"within {seconds(self._parsed.timeout)}"
        if self._peer.error():
            said = f"before the connection broke: {describe(self._peer.last_error)}"
        elif self._peer.eof():
            said = "before the end of the connection"
        return (
            f"no answer from {self._place} {said}; "
            f"answers as recorded: {same:,}; different: {different:,}"
        )
