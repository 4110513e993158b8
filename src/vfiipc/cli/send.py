"""``vfiipc send``: sends one message and prints the answer."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ..codec import MAX_DATA_SIZE, Message
from . import arguments, links
from .failures import Failure, describe, no_answer
from .incoming import Incoming
from .payload import is_text, shown
from .streams import note, say_pieces, write_bytes

__all__ = ["add_to"]

_MORE = """\
The data of the answer is printed to standard output: text unchanged, anything
else as a hex dump; with --raw, always the bytes themselves. Everything else
goes to standard error.

examples:
  vfiipc send 127.0.0.1:5000 'hello'
  vfiipc send 127.0.0.1:5000 --hex '02 00 ff' --id 7
  vfiipc send [::1]:5000 --file request.bin --raw > answer.bin
  vfiipc send 127.0.0.1:5000 'beep' --no-answer
  date | vfiipc send tcp://localhost:5000 --prefix 0x004E4659 --timeout 2
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands, "send", _run, does="send one message, print the answer", more=_MORE
    )
    links.add_peer(parser)
    parser.mixed = True
    source = parser.add_mutually_exclusive_group()
    source.add_argument("text", metavar="TEXT", nargs="?", help="the data, sent as UTF-8")
    source.add_argument(
        "--hex",
        metavar="DIGITS",
        type=arguments.hex_bytes,
        help="the data as pairs of hexadecimal digits; spaces and colons are allowed",
    )
    source.add_argument(
        "--file",
        metavar="FILE",
        type=arguments.file_name,
        help="read the data from a file; - for standard input, which is the default",
    )
    arguments.add_framing(parser)
    arguments.add_msg_id(parser, "the message ID")
    arguments.add_timeout(parser, "the connection, and then for the answer")
    answer = parser.add_mutually_exclusive_group()
    answer.add_argument(
        "--raw", action="store_true", help="print the data of the answer as it is, never as a dump"
    )
    answer.add_argument(
        "--no-answer", action="store_true", help="send, and do not wait for an answer"
    )
    links.add_tls(parser)


def _run(parsed: argparse.Namespace) -> int:
    data = _data(parsed)
    if len(data) > MAX_DATA_SIZE:
        raise Failure(
            f"{len(data):,} bytes are too many for a message; the limit is {MAX_DATA_SIZE:,}"
        )
    answer = _exchange(parsed, data)
    if answer is not None:
        _show(answer, raw=parsed.raw)
    return 0


def _data(parsed: argparse.Namespace) -> bytes:
    if parsed.text is not None:
        return os.fsencode(parsed.text) if os.name == "posix" else parsed.text.encode("utf-8")
    if parsed.hex is not None:
        return bytes(parsed.hex)
    try:
        if parsed.file not in (None, "-"):
            return Path(parsed.file).read_bytes()
        return _standard_input()
    except OSError as error:
        name = "standard input" if parsed.file in (None, "-") else parsed.file
        raise Failure(f"cannot read {name}: {describe(error)}") from error


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise Failure("standard input is closed; give the data with TEXT, --hex or --file")
    if sys.stdin.isatty():
        note("type the message; Ctrl-D on a line of its own ends it")
    return sys.stdin.buffer.read()


def _exchange(parsed: argparse.Namespace, data: bytes) -> Message | None:
    """The answer; None with ``--no-answer``."""
    address, timeout_msec = links.shown(parsed.address), parsed.timeout
    with links.dial(parsed.address, timeout_msec, parsed) as connection:
        if not connection.write_msg(parsed.prefix, parsed.id, data, timeout_msec):
            raise no_answer(connection, address, timeout_msec)
        if parsed.no_answer:
            return None
        incoming = Incoming(connection, parsed.prefix, parsed.limit)
        answer = incoming.next_message(timeout_msec)
        if answer is None:
            prefix, discarded = parsed.prefix, incoming.discarded
            raise no_answer(connection, address, timeout_msec, prefix, discarded)
        if incoming.discarded:
            note(f"bytes discarded before the answer: {incoming.discarded:,}")
        return answer


def _show(answer: Message, *, raw: bool) -> None:
    note(f"answer: message ID {answer.msg_id}, bytes of data: {len(answer.data):,}")
    if raw:
        write_bytes(answer.data)
    else:
        how = "text" if is_text(answer.data) else "hex"
        end = "" if how == "text" and answer.data.endswith(b"\n") else "\n"
        say_pieces(shown(answer.data, how, len(answer.data)), end=end)
