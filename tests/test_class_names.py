"""A class name has one meaning in the library."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.helpers.source import PACKAGE

#: Users see one of the two: the blocking one, or that of ``vfiipc.aio``.
PUBLIC_PAIRS = {name: {"blocking", "aio"} for name in ("Connection", "Server")}


def classes() -> dict[str, list[str]]:
    """The modules that define a class of each name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name.lstrip("_")].append(str(path.relative_to(PACKAGE)))
    return found


def test_no_class_name_has_two_meanings() -> None:
    found = classes()
    assert len(found) > 80
    pairs = {name: found.pop(name) for name in PUBLIC_PAIRS}
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}
    for name, folders in PUBLIC_PAIRS.items():
        assert len(pairs[name]) == 2
        assert {path.partition("/")[0] for path in pairs[name]} == folders
