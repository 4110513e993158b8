"""Runs ``vfiipc examine``: reaches the peer, runs the cases, writes the reports."""

from __future__ import annotations

import argparse
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from ..conformance import (
    CASES,
    Case,
    Dialled,
    Examination,
    ExamineOptions,
    Executed,
    ListeningPeer,
    Peer,
    Report,
    Setting,
    Shortage,
)
from ..conformance.report import changes, read_expectations
from ..transport.addresses import Address
from . import links
from .examine_files import Outputs
from .examine_output import Output, list_cases
from .failures import Failure, Malformed, describe
from .signals import Ended
from .tasks import run_task
from .tls_contexts import client_context, server_context

__all__ = ["run"]

_BACKLOG: Final = 128


def run(parsed: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    cases = _chosen(parsed)
    if parsed.list:
        list_cases(cases)
        return 0
    _check_peer(parsed)
    expected = _expected(parsed)
    setting = Setting(parsed.prefix, parsed.limit, seed=parsed.seed)
    outputs = Outputs(parsed)
    with _peer(parsed, setting) as (peer, name):
        output = Output(cases, quiet=parsed.json == "-")
        output.begin(name, setting)
        options = ExamineOptions(
            mode=parsed.mode,
            serial=parsed.serial,
            scale=parsed.timeout_scale,
            report=output.report,
        )
        examination = Examination(peer, setting, cases, options)
        with output:
            stopped = _examine(examination)
        report = Report.of(
            name,
            examination.setting,
            examination.results,
            examination.left_out,
            complete=examination.complete,
        )
        failed = {result.id for result in report.failures(strict=parsed.strict)}
        changed = changes(report, expected) if expected is not None else None
        if changed is not None:
            failed = {change.id for change in changed}
        outputs.write(report, failed)
        output.end(report, changed)
    if stopped is not None:
        raise stopped
    return 1 if failed else 0


def _chosen(parsed: argparse.Namespace) -> list[Case]:
    for pattern in (*parsed.only, *parsed.exclude):
        if not any(fnmatchcase(case.id, pattern) for case in CASES):
            raise Malformed(f"no case has an ID like {pattern!r}; --list shows all")

    def is_chosen(case: Case) -> bool:
        wanted = not parsed.only or any(fnmatchcase(case.id, each) for each in parsed.only)
        return wanted and not any(fnmatchcase(case.id, each) for each in parsed.exclude)

    cases = [case for case in CASES if is_chosen(case)]
    if not cases:
        raise Malformed("--only and --exclude leave no case to run")
    return cases


def _check_peer(parsed: argparse.Namespace) -> None:
    if parsed.listen is not None and (parsed.address is not None or parsed.exec is not None):
        raise Malformed("--listen waits for the peer and excludes ADDRESS and --exec")
    if parsed.listen is None and parsed.address is None and parsed.exec is None:
        raise Malformed(
            "no peer given; use ADDRESS, --listen or --exec (see vfiipc examine --help)"
        )
    if parsed.exec and parsed.address is None and "{port}" not in parsed.exec:
        raise Malformed("--exec must contain {port}, unless ADDRESS says where the peer listens")


def _expected(parsed: argparse.Namespace) -> dict[str, str] | None:
    if parsed.expect is None:
        return None
    try:
        return read_expectations(Path(parsed.expect).read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"cannot read {parsed.expect}: {describe(error)}") from None
    except ValueError as error:
        raise Malformed(f"{parsed.expect}: {error}") from None


# The peer


@contextmanager
def _peer(parsed: argparse.Namespace, setting: Setting) -> Iterator[tuple[Peer, str]]:
    """The peer and its name in reports."""
    if parsed.listen is not None:
        with _listening(parsed.listen) as (listener, where):
            context = (
                server_context(parsed, parsed.listen) if parsed.listen.scheme == "tls" else None
            )
            yield ListeningPeer(listener, context, parsed.timeout_scale), where
        return
    tls = parsed.address is not None and parsed.address.scheme == "tls"
    context = client_context(parsed) if tls else None
    if parsed.exec is None:
        yield Dialled(parsed.address, context), links.shown(parsed.address)
        return
    words = shlex.split(parsed.exec)
    yield Executed(words, setting, parsed.timeout_scale, parsed.address, context), parsed.exec


@contextmanager
def _listening(place: Address) -> Iterator[tuple[socket.socket, str]]:
    try:
        listener = _bound(place)
    except OSError as error:
        raise Failure(f"cannot listen on {links.shown(place)}: {describe(error)}") from None
    try:
        where = links.shown(place)
        if place.scheme != "pipe":
            where = links.shown(place._replace(port=listener.getsockname()[1]))
        yield listener, where
    finally:
        listener.close()
        if place.scheme == "pipe" and not place.path.startswith("\0"):
            Path(place.path).unlink(missing_ok=True)


def _bound(place: Address) -> socket.socket:
    if place.scheme == "fd":
        return socket.socket(fileno=place.fd)
    if place.scheme == "pipe":
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(place.path)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
        return listener
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    return socket.create_server((place.host, place.port), family=family, backlog=_BACKLOG)


# The run


def _examine(examination: Examination) -> BaseException | None:
    """Runs until the end, and returns None; or until what has to end the command."""
    try:
        run_task(examination.run)
    except (KeyboardInterrupt, Ended) as ended:
        return ended
    except Shortage as shortage:
        return Failure(
            f"{shortage} on this machine, so the rest was not run; "
            "--serial needs fewer descriptors, ulimit -n allows more"
        )
    return None
