"""The source of the package as syntax trees, for rules about the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import vfiipc

ROOT = Path(__file__).parents[2]
PACKAGE = Path(vfiipc.__file__).parent


@dataclass(frozen=True)
class Source:
    """One module: its dotted name, its code, and whether it is a package."""

    name: str
    code: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        # Not before a test needs it: every process that shares the tests collects all of them.
        return ast.parse(self.code)

    def is_in(self, package: str) -> bool:
        return is_in(self.name, package)


class Import(NamedTuple):
    """One import, wherever it stands: at the top, in a function, under ``TYPE_CHECKING``."""

    line: int
    target: str


def is_in(name: str, package: str) -> bool:
    """Whether ``name`` is the package or something inside it."""
    return name == package or name.startswith(package + ".")


@cache
def all_sources() -> list[Source]:
    return [_read(path) for path in sorted(PACKAGE.rglob("*.py"))]


def _read(path: Path) -> Source:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    return Source(name, path.read_text(encoding="utf-8"), is_package)


def imports(source: Source, modules: frozenset[str] = frozenset()) -> Iterator[Import]:
    """What a module imports, with relative names resolved.

    ``from package import name`` counts as an import of ``package.name`` where that is one of
    ``modules``, as an import of ``package`` otherwise.
    """
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(source, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield Import(node.lineno, inner if inner in modules else base)


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    module = node.module or ""
    if not node.level:
        return module
    parts = source.name.split(".")
    here = parts[: len(parts) - node.level + source.is_package]
    return ".".join([*here, module] if module else here)
