"""``typing.get_type_hints`` resolves the annotations of everything public."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

import vfiipc
from vfiipc import TLS, Connection

pytest.importorskip("hypothesis")

MODULES = [
    "vfiipc",
    "vfiipc.aio",
    "vfiipc.codec",
    "vfiipc.conformance",
    "vfiipc.faults",
    "vfiipc.notify",
    "vfiipc.notify.blocking",
    "vfiipc.recording",
    "vfiipc.specification",
    "vfiipc.testing",
]


def public_callables(module: str) -> Iterator[Callable[..., Any]]:
    for name in import_module(module).__all__:
        value = getattr(import_module(module), name)
        if inspect.isfunction(value):
            yield value
        elif inspect.isclass(value) and typing.get_origin(value) is None:  # not an alias
            yield value
            yield from methods(value)


def methods(kind: type) -> Iterator[Callable[..., Any]]:
    """The methods and properties that this package defines, except private ones."""
    for name in dir(kind):
        member = inspect.getattr_static(kind, name)
        if isinstance(member, property):
            member = member.fget
        elif isinstance(member, (classmethod, staticmethod)):
            member = member.__func__
        is_private = name.startswith("_") and not name.endswith("__")
        if inspect.isfunction(member) and not is_private and member.__module__.startswith("vfiipc"):
            yield member


@pytest.mark.parametrize("module", MODULES)
def test_type_hints_of_public_callables_can_be_resolved(module: str) -> None:
    found = list(public_callables(module))
    assert found
    for each in found:
        assert isinstance(typing.get_type_hints(each), dict), each


def test_type_hints_name_the_types_that_are_imported_at_first_use() -> None:
    hints = typing.get_type_hints(vfiipc.connect)
    assert hints["tls"] == (TLS | None)
    assert hints["return"] is Connection


def test_type_hints_without_typing_extensions() -> None:
    code = (
        "import sys, typing; sys.modules['typing_extensions'] = None; import vfiipc; "
        "assert 'ssl' not in sys.modules; typing.get_type_hints(vfiipc.connect); "
        "print(*typing.get_type_hints(vfiipc.TCP.write_msg))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["prefix", "msg_id", "data", "timeout_msec", "return"]
