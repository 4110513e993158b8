"""A class name has one meaning in the library."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.helpers.source import PACKAGE

#: The same API in two manners, of which a user sees one: where each of the two is.
PUBLIC_PAIRS = {
    "Connection": {"blocking/connection.py", "aio/connection.py"},
    "Server": {"blocking/server.py", "aio/server.py"},
    "Client": {"notify/blocking.py", "notify/client.py"},
}


def classes() -> dict[str, set[str]]:
    """The modules that define a class of each name."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].add(path.relative_to(PACKAGE).as_posix())
    return found


def test_no_class_name_has_two_meanings() -> None:
    found = classes()
    assert len(found) > 150
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == PUBLIC_PAIRS
