"""``vfiipc replay``: sends one side of a recording again, and compares the answers."""

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
Of a capture, such as `vfiipc proxy --record` makes, it sends what one side of a
connection sent, byte for byte, waits for the answers where they came, and
compares their IDs and data with those of the recording. A raw stream or a hex
dump is sent as it is, and what is answered until --timeout is printed.

Exit status 1 if an answer differs, is missing or was not expected.

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
    parser.add_argument("file", metavar="FILE", help="the recording; - is standard input")
    links.add_peer(parser)
    parser.add_argument(
        "--side",
        choices=("client", "server"),
        default="client",
        help="whose bytes are sent: of who connected, or of who listened (client)",
    )
    parser.add_argument(
        "--connection",
        metavar="NUMBER",
        type=int,
        help="which connection, as `vfiipc dump` numbers them (the first with messages)",
    )
    parser.add_argument("--format", choices=FORMATS, default="auto", help="what FILE is")
    arguments.add_framing(parser, default=None, auto=True)
    arguments.add_timeout(parser, "the connection, and for each answer")
    add_view(parser)
    links.add_tls(parser)


_NOTHING_TO_COMPARE = (
    "the recording has no message that answers the {}, so there is nothing to compare; "
    "nothing was sent (--side and --connection choose)"
)


class _ReplayStep(NamedTuple):
    """Bytes to send, or the message that has to come."""

    send: bytes = b""
    expect: Message | None = None


def _run(parsed: argparse.Namespace) -> int:
    with open_source(parsed.file, parsed.format) as source:
        chunks = source.chunks()
        prefix = parsed.prefix
        try:
            if prefix is None:
                prefix, chunks = find_prefix(chunks, parsed.limit)
            recorded = source.form == "capture"
            steps = list(_steps(list(chunks), parsed, prefix))
        except Damaged as error:  # half a recording would prove nothing
            raise Failure(f"{parsed.file}: {error}") from error
    if recorded and all(step.expect is None for step in steps):
        raise Failure(_NOTHING_TO_COMPARE.format(parsed.side))
    with links.dial(parsed.address, parsed.timeout, parsed) as peer:
        replay = _Replay(peer, parsed, prefix)
        return replay.compare(steps) if recorded else replay.print_answers(steps)


def _steps(chunks: list[Chunk], parsed: argparse.Namespace, prefix: int) -> Iterator[_ReplayStep]:
    """What to do, in the order of the recording."""
    number = parsed.connection
    if number is None:
        number = _first_with_messages(chunks, parsed, prefix)
    chosen = [chunk for chunk in chunks if chunk.connection.number == number]
    if not chosen:
        raise Failure(f"there is no connection {number}")
    annotator = Annotator(prefix, parsed.limit)
    for chunk in chosen:
        if chunk.gap:
            raise Failure(f"connection {number} is not recorded whole: {chunk.gap:,} bytes missing")
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
    raise Failure(f"no message with the prefix {arguments.show_prefix(prefix)} in the recording")


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
        """Goes through the recording; the exit status."""
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
        # An answer too many comes soon, if it comes.
        extra = self._peer.read_msg(self._prefix, self._parsed.limit, 200)
        if extra is not None:
            self._printer.event(NOWHERE, "unexpected", "one more than recorded:")
            self._show(extra)
        said = f"answers as recorded: {same:,}; different: {different:,}"
        self._printer.event(NOWHERE, "result", said)
        return 1 if different or extra is not None else 0

    def print_answers(self, steps: Iterable[_ReplayStep]) -> int:
        """Sends everything, prints what comes; the exit status."""
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
        self._printer.event(NOWHERE, "difference", "recorded, and then as it is now:")
        self._printer.item(NOWHERE, Decoded(self._position, expected))
        self._show(answer)

    def _silence(self, same: int, different: int) -> str:
        said = f"within {seconds(self._parsed.timeout)}"
        if self._peer.error():
            said = f"but: {describe(self._peer.last_error)}"
        elif self._peer.eof():
            said = "but the end of the connection"
        return (
            f"no answer from {self._place} {said}; "
            f"answers as recorded: {same:,}; different: {different:,}"
        )
