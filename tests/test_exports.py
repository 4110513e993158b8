"""``__all__`` of every public module is exactly what the module offers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module

import pytest

from tests.helpers.source import Source, all_sources

# The command line is a program: nobody imports it.
PRIVATE = {"vfiipc.cli"}


def _is_public(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split(".")) and not any(
        name == private or name.startswith(private + ".") for private in PRIVATE
    )


SOURCES = {source.name: source for source in all_sources() if _is_public(source.name)}
# What users import: packages, and modules directly below the package.
FRONT_DOORS = [
    name for name, source in SOURCES.items() if source.is_package or name.count(".") == 1
]


def _bound_names(source: Source) -> Iterator[str]:
    """What the module's own statements define or, in a package, take over from its modules."""
    for node in _statements(source):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.ImportFrom) and node.level and source.is_package:
            yield from (alias.asname or alias.name for alias in node.names)


def _statements(source: Source) -> Iterator[ast.stmt]:
    """Those at the top, and what a package declares for type checkers and imports later."""
    for node in source.tree.body:
        later = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        yield from node.body if isinstance(node, ast.If) and later else [node]


def _offered(source: Source) -> set[str]:
    public = {name for name in _bound_names(source) if not name.startswith("_")}
    return public | ({"__version__"} if source.name == "vfiipc" else set())


def test_there_are_front_doors() -> None:
    assert {"vfiipc", "vfiipc.codec"} <= set(FRONT_DOORS)


@pytest.mark.parametrize("name", FRONT_DOORS)
def test_all_is_what_the_module_offers(name: str) -> None:
    assert set(import_module(name).__all__) == _offered(SOURCES[name])


@pytest.mark.parametrize("name", FRONT_DOORS)
def test_every_name_in_all_can_be_had(name: str) -> None:
    module = import_module(name)
    assert [exported for exported in module.__all__ if not hasattr(module, exported)] == []
    assert len(module.__all__) == len(set(module.__all__))


@pytest.mark.parametrize("name", SOURCES)
def test_public_modules_state_their_names(name: str) -> None:
    module = import_module(name)
    assert [exported for exported in module.__all__ if not hasattr(module, exported)] == []
