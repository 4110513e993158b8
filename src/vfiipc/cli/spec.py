"""``vfiipc spec``: lists the files of the specification, or writes them out."""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError
from pathlib import Path

from ..specification import spec_files
from . import arguments
from .failures import Failure, describe
from .streams import one_line, say

__all__ = ["add_to"]

_MORE = """\
Without --to, prints the names of the files. Files that are already in DIR stay
as they are; if one of them differs, nothing is written unless --force is given.

examples:
  vfiipc spec                        the names of the files
  vfiipc spec --to protocol          all files, in a folder protocol
  tshark -X lua_script:protocol/wireshark/vfiipc.lua -r session.pcap
"""


def add_to(commands: arguments.Commands) -> None:
    """Declares the command."""
    parser = arguments.add_command(
        commands,
        "spec",
        _run,
        does="list or write out the specification, its vectors and the Wireshark dissector",
        more=_MORE,
    )
    parser.add_argument(
        "--to",
        metavar="DIR",
        type=lambda text: Path(arguments.file_name(text)),
        help="the folder to write the files to; created if missing",
    )
    parser.add_argument("--force", action="store_true", help="replace files in DIR that differ")
    parser.checks.append(_check)


def _check(parsed: argparse.Namespace) -> None:
    if parsed.force and parsed.to is None:
        raise ArgumentTypeError("--force needs --to DIR")


def _run(parsed: argparse.Namespace) -> int:
    files = spec_files()
    if parsed.to is None:
        for name in files:
            say(name)
    else:
        contents = {parsed.to / name: file.read_bytes() for name, file in files.items()}
        _write(contents, parsed.to, replace=parsed.force)
        say(f"files written to {one_line(str(parsed.to))}: {len(files)}")
    return 0


def _write(contents: dict[Path, bytes], folder: Path, *, replace: bool) -> None:
    try:
        if not replace:
            _refuse_to_replace(contents)
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise Failure(
            f"cannot write to {one_line(str(folder))}: {describe(error)}: "
            f"{one_line(str(error.filename))}"
        ) from error


def _refuse_to_replace(contents: dict[Path, bytes]) -> None:
    for path, content in contents.items():
        if path.exists() and path.read_bytes() != content:
            raise Failure(
                f"{one_line(str(path))} exists and differs; "
                "choose another folder, or --force to replace it"
            )
