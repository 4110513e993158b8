"""The report files that ``vfiipc examine`` writes.

A file is written after the run and replaced as a whole, so that a run that fails or is killed
leaves the previous report as it was. Whether it can be written is checked before the run.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import stat
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from ..conformance import Report
from ..conformance.junit import junit
from ..conformance.report import expectations
from .failures import INSTALL_CONFORMANCE, Failure, describe
from .streams import note, say

__all__ = ["Outputs"]

Writer = Callable[[Report, Collection[str]], str]


class Outputs:
    """The files and the standard output that a report is written to.

    Args:
        parsed: the arguments of the command.

    Raises:
        Failure: a file cannot be written, or Jinja2 is missing.
    """

    def __init__(self, parsed: argparse.Namespace) -> None:
        wanted: list[tuple[str | None, Writer]] = [
            (parsed.json, _as_json),
            (parsed.junit, junit),
            (parsed.html, _html() if parsed.html is not None else _as_json),
            (parsed.save_expect, _as_expectations),
        ]
        self._files = [(path, writer) for path, writer in wanted if path is not None]
        for path, _ in self._files:
            if path != "-":
                _check_writable(path)

    def write(self, report: Report, failed: Collection[str]) -> None:
        """Writes all of them.

        Args:
            report: what was found.
            failed: the IDs of the cases that make the run fail.

        Raises:
            Failure: a file cannot be written.
        """
        for path, writer in self._files:
            if writer is _as_expectations and not report.complete:
                note(f"{path} was left as it was, because not all cases have run")
                continue
            text = writer(report, failed)
            if path == "-":
                say(text.rstrip("\n"))
            else:
                _write(path, text)


def _check_writable(path: str) -> None:
    try:
        target = _replaceable(path)
        if Path(path).exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if target is not None:
            with tempfile.TemporaryFile(dir=target.parent):
                pass
    except (OSError, ValueError) as error:
        raise Failure(f"cannot write {path}: {describe(error)}") from None


def _write(path: str, text: str) -> None:
    try:
        target = _replaceable(path)
        if target is None:
            Path(path).write_text(text, encoding="utf-8")
        else:
            _replace(target, text)
    except OSError as error:
        raise Failure(f"cannot write {path}: {describe(error)}") from None


def _replaceable(path: str) -> Path | None:
    """The regular file to create or replace; None for a device or a pipe, written in place.

    Raises:
        OSError: it is a directory, or cannot be looked at.
    """
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    # A symbolic link stays: the file that it points to is replaced. /dev/stdout and the like are
    # links to pipes, which have no path of their own.
    return Path(path).resolve() if stat.S_ISREG(mode) else None


def _replace(target: Path, text: str) -> None:
    temporary = target.with_name(f".vfiipc-{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _as_json(report: Report, _: Collection[str]) -> str:
    return json.dumps(report.as_json(), indent=1) + "\n"


def _as_expectations(report: Report, _: Collection[str]) -> str:
    return expectations(report)


def _html() -> Writer:
    try:
        from ..conformance.html import html
    except ModuleNotFoundError:
        raise Failure(f"--html needs Jinja2; {INSTALL_CONFORMANCE}") from None
    return lambda report, _: html(report)
