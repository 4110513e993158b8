"""A class name has one meaning in the library."""

from __future__ import annotations

import ast
from collections import defaultdict

import pytest

from tests.helpers.source import PACKAGE

#: Users see one of the two: the blocking one, or that of ``vfiipc.aio``.
PUBLIC_PAIRS = {name: {"blocking", "aio"} for name in ("Connection", "Server")}
#: The library without its programs and the services built on it.
CORE = {"aio", "blocking", "codec", "exchange", "faults.py", "recording", "transport"}


def classes() -> dict[str, list[str]]:
    """The modules that define a class of each name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(path.relative_to(PACKAGE).as_posix())
    return found


def folders(paths: list[str]) -> set[str]:
    return {path.partition("/")[0] for path in paths}


def shared_names() -> dict[str, list[str]]:
    """Names with more than one meaning, and where they are defined."""
    found = classes()
    for name, expected in PUBLIC_PAIRS.items():
        paths = found.pop(name)
        assert len(paths) == 2
        assert folders(paths) == expected
    assert len(found) > 80
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def test_no_class_name_of_the_core_has_two_meanings_there() -> None:
    shared = shared_names()
    core = {n: [p for p in paths if folders([p]) <= CORE] for n, paths in shared.items()}
    assert {name: paths for name, paths in core.items() if len(paths) > 1} == {}


@pytest.mark.xfail(strict=True, reason="the notification service and the inspector reuse names")
def test_no_class_name_has_two_meanings() -> None:
    assert shared_names() == {}
