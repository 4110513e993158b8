"""The rules about who may import what, and that the wire format is written down once.

``make lint`` proves the import rules with import-linter, over chains of imports. Here they are
proven anew from the syntax trees, and each rule is shown to find what it is there to find. The
lists of modules are those of the contracts in ``pyproject.toml``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import tomli

from tests.helpers.source import ROOT, Source, all_sources, imports, is_in

Rule = Callable[[Source], Iterator[str]]

SOURCES = {source.name: source for source in all_sources()}
# Names that need not exist yet count too, so that examples below can use them.
MODULES = frozenset(SOURCES) | {f"vfiipc.transport.{name}" for name in ("base", "tcp", "fd", "tls")}


def _contract(identifier: str) -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomli.load(file)["tool"]["importlinter"]["contracts"]
    return next(contract for contract in contracts if contract["id"] == identifier)


def _layer_lines(identifier: str) -> list[list[str]]:
    return [re.findall(r"[\w.]+", line) for line in _contract(identifier)["layers"]]


PURE = _contract("codec-is-pure")["source_modules"]
FORBIDDEN_IN_CODEC = _contract("codec-is-pure")["forbidden_modules"]
LAYERS = _layer_lines("layers")
TRANSPORTS = [
    f"vfiipc.transport.{name}" for line in _layer_lines("transports-are-leaves") for name in line
]


def codec_is_pure(source: Source) -> Iterator[str]:
    if any(source.is_in(module) for module in PURE):
        for line, target in imports(source, MODULES):
            io = any(is_in(target, module) for module in FORBIDDEN_IN_CODEC)
            outside = is_in(target, "vfiipc") and not is_in(target, "vfiipc.codec")
            if io or outside:
                yield f"{source.name}:{line} imports {target}"


def only_wire_knows_construct(source: Source) -> Iterator[str]:
    if source.name != "vfiipc.codec.wire":
        for line, target in imports(source, MODULES):
            if is_in(target, "construct"):
                yield f"{source.name}:{line} imports {target}"


def layers_point_down(source: Source) -> Iterator[str]:
    own = _layer_of(source.name)
    for line, target in imports(source, MODULES):
        other = _layer_of(target)
        if own and other and other.module != own.module and other.level <= own.level:
            yield f"{source.name}:{line} imports {target}"


class Layer(NamedTuple):
    level: float
    module: str


def _layer_of(name: str) -> Layer | None:
    """The layer of a module, 0 at the top; ``None`` for what is private to the whole package."""
    places = {module: level for level, line in enumerate(LAYERS) for module in line}
    if name == "vfiipc":
        # It offers the names of blocking connections, so it stands on them.
        return Layer(places["vfiipc.blocking"] - 0.5, name)
    found = (Layer(level, module) for module, level in places.items() if is_in(name, module))
    return next(found, None)


def codec_is_closed(source: Source) -> Iterator[str]:
    if not source.is_in("vfiipc.codec"):
        for line, target in imports(source, MODULES):
            if target != "vfiipc.codec" and is_in(target, "vfiipc.codec"):
                yield f"{source.name}:{line} imports {target}"


def transports_are_leaves(source: Source) -> Iterator[str]:
    """A transport stands on the base modules alone, and those know no transport."""
    if source.is_in("vfiipc.transport") and source.name != "vfiipc.transport":
        own = _transport_of(source.name)
        for line, target in imports(source, MODULES):
            other = _transport_of(target)
            if target == "vfiipc.transport" or (other is not None and other != own):
                yield f"{source.name}:{line} imports {target}"


def _transport_of(name: str) -> str | None:
    return next((leaf for leaf in TRANSPORTS if is_in(name, leaf)), None)


# A struct format of 32-bit integers with a byte order, as in ">II" or "!4xI".
_FORMAT = re.compile(r"[<>!=](?:\s*\d*[iIlLx])+")


def format_is_declared_once(source: Source) -> Iterator[str]:
    if source.name == "vfiipc.codec.wire":
        return
    for node in ast.walk(source.tree):
        text = _text_of(node)
        if text is not None and _FORMAT.fullmatch(text):
            yield f"{source.name}:{_line(node)} has the struct format {text!r}"
        elif text in ("big", "little"):
            yield f"{source.name}:{_line(node)} names the byte order {text!r}"
        elif isinstance(node, ast.Attribute) and node.attr in ("from_bytes", "to_bytes"):
            yield f"{source.name}:{_line(node)} uses {node.attr}"


def _text_of(node: ast.AST) -> str | None:
    """The text of a string, bytes or f-string; a value in an f-string is taken for a 1."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part) or "1" for part in node.values)
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bytes):
            return node.value.decode("latin-1")
        if isinstance(node.value, str):
            return node.value
    return None


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


RULES: list[Rule] = [
    codec_is_pure,
    only_wire_knows_construct,
    layers_point_down,
    codec_is_closed,
    transports_are_leaves,
    format_is_declared_once,
]


@pytest.mark.long
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds(rule: Rule) -> None:
    assert [broken for source in SOURCES.values() for broken in rule(source)] == []


def test_rules_look_at_the_whole_package() -> None:
    assert {"vfiipc", "vfiipc.codec", "vfiipc.codec.framer", "vfiipc.codec.wire"} <= SOURCES.keys()
    assert {"socket", "select", "ssl", "os", "threading", "time", "asyncio"} <= set(
        FORBIDDEN_IN_CODEC
    )
    assert {"vfiipc.transport.tcp", "vfiipc.transport.loopback"} <= set(TRANSPORTS)
    assert set(PURE) == {"vfiipc.codec", "vfiipc.faults"}


def test_every_public_module_has_a_layer() -> None:
    homeless = {name for name in SOURCES if _layer_of(name) is None}
    assert homeless <= {"vfiipc._lazy", "vfiipc._version"}


BREACHES = [
    (codec_is_pure, "vfiipc.codec.framer", "import socket"),
    (codec_is_pure, "vfiipc.codec.framer", "import os.path"),
    (codec_is_pure, "vfiipc.codec.framer", "from time import monotonic"),
    (codec_is_pure, "vfiipc.codec.framer", "def later():\n    import threading"),
    (codec_is_pure, "vfiipc.codec.framer", "from ..transport import TCP"),
    (codec_is_pure, "vfiipc.codec.framer", "from .. import transport"),
    (codec_is_pure, "vfiipc.codec.framer", "import vfiipc.cli"),
    (codec_is_pure, "vfiipc.faults", "import time"),
    (only_wire_knows_construct, "vfiipc.codec.layout", "import construct"),
    (only_wire_knows_construct, "vfiipc.cli.dump", "from construct import Struct"),
    (layers_point_down, "vfiipc.transport.tcp", "from vfiipc.cli import main"),
    (layers_point_down, "vfiipc.transport.tcp", "from vfiipc import Message"),
    (layers_point_down, "vfiipc.codec.framer", "import vfiipc"),
    (layers_point_down, "vfiipc.exchange.inbox", "from ..transport import TCP"),
    (layers_point_down, "vfiipc.transport.tcp", "from ..exchange import parse"),
    (layers_point_down, "vfiipc.aio", "from vfiipc.testing import messages"),
    (layers_point_down, "vfiipc.cli.echo", "import vfiipc.__main__"),
    (codec_is_closed, "vfiipc.transport.base", "from vfiipc.codec.framer import Framer"),
    (codec_is_closed, "vfiipc.cli.dump", "from vfiipc.codec import layout"),
    (transports_are_leaves, "vfiipc.transport.pipe", "from .tcp import TCP"),
    (transports_are_leaves, "vfiipc.transport.pipe", "from . import tcp"),
    (transports_are_leaves, "vfiipc.transport.pipe", "from . import TCP"),
    (transports_are_leaves, "vfiipc.transport.tls.ipc", "from ..tcp import TCP"),
    (transports_are_leaves, "vfiipc.transport.tls.ipc", "from .. import TCP"),
    (transports_are_leaves, "vfiipc.transport.base", "from vfiipc.transport.tcp import TCP"),
    (format_is_declared_once, "vfiipc.codec.layout", 'struct.Struct(">I")'),
    (format_is_declared_once, "vfiipc.cli.dump", "struct.unpack(b'<iI', head)"),
    (format_is_declared_once, "vfiipc.cli.dump", "struct.unpack(f'!{count}I', head)"),
    (format_is_declared_once, "vfiipc.codec.search", 'order = "big"'),
    (format_is_declared_once, "vfiipc.codec.search", "number.to_bytes(4, order)"),
    (format_is_declared_once, "vfiipc.codec.search", "read = int.from_bytes"),
]


@pytest.mark.parametrize(("rule", "name", "code"), BREACHES)
def test_breach_is_found(rule: Rule, name: str, code: str) -> None:
    assert len(list(rule(Source(name, code)))) == 1


ALLOWED = [
    ("vfiipc.codec.framer", "from .errors import SyncLostError\nimport re, struct"),
    ("vfiipc.codec.wire", "from construct import Int32ub"),
    ("vfiipc.transport.tcp", "from ..codec import Framer\nfrom .base import IPC\nimport socket"),
    ("vfiipc.transport.tcp", "from .._version import __version__"),
    ("vfiipc.transport", "from .tcp import TCP"),
    ("vfiipc.cli.echo", "from vfiipc import TCP\nfrom vfiipc.transport import IPC"),
    ("vfiipc.cli.dump", "'a big message, in <little> time'\nstruct.unpack('3i', credentials)"),
]


@pytest.mark.parametrize(("name", "code"), ALLOWED)
def test_good_code_passes(name: str, code: str) -> None:
    source = Source(name, code, is_package=name == "vfiipc.transport")
    assert [broken for rule in RULES for broken in rule(source)] == []


def test_breach_in_the_real_framer_is_found() -> None:
    framer = SOURCES["vfiipc.codec.framer"]
    assert list(codec_is_pure(framer)) == []
    framer.tree.body.append(ast.parse("import socket").body[0])
    try:
        assert len(list(codec_is_pure(framer))) == 1
    finally:
        framer.tree.body.pop()
