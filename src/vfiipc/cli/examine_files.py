"""The files that ``vfiipc examine`` writes.

They are opened before the run, so that a path that cannot be written fails first.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Collection
from typing import TextIO

from ..conformance import Report
from ..conformance.junit import junit
from ..conformance.report import expectations
from .failures import INSTALL_CONFORMANCE, Failure, describe
from .streams import say

__all__ = ["Outputs"]

Writer = Callable[[Report, Collection[str]], str]


class Outputs:
    """Where the report goes.

    Raises:
        Failure: a file cannot be written.
    """

    def __init__(self, parsed: argparse.Namespace) -> None:
        self._files: list[tuple[str, TextIO | None, Writer]] = []
        wanted: list[tuple[str | None, Writer]] = [
            (parsed.json, _as_json),
            (parsed.junit, junit),
            (parsed.html, _html() if parsed.html is not None else _as_json),
            (parsed.save_expect, lambda report, _: expectations(report)),
        ]
        try:
            for path, writer in wanted:
                if path is not None:
                    self._files.append((path, _opened(path), writer))
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *_: object) -> None:
        for _path, file, _writer in self._files:
            if file is not None:
                file.close()

    def write(self, report: Report, failed: Collection[str]) -> None:
        """Writes all of them.

        Args:
            report: what was found.
            failed: the IDs of the cases that make the run fail.
        """
        for path, file, writer in self._files:
            text = writer(report, failed)
            if file is None:
                say(text.rstrip("\n"))
                continue
            try:
                file.write(text)
                file.flush()
            except OSError as error:
                raise Failure(f"cannot write {path}: {describe(error)}") from None


def _opened(path: str) -> TextIO | None:
    if path == "-":
        return None
    try:
        return open(path, "w", encoding="utf-8")  # noqa: PTH123 - closed with the others
    except OSError as error:
        raise Failure(f"cannot write {path}: {describe(error)}") from None


def _as_json(report: Report, _: Collection[str]) -> str:
    return json.dumps(report.as_json(), indent=1) + "\n"


def _html() -> Writer:
    try:
        from ..conformance.html import html
    except ModuleNotFoundError:
        raise Failure(f"--html needs Jinja2; {INSTALL_CONFORMANCE}") from None
    return lambda report, _: html(report)
