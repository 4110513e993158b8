"""Other declarations of the format, which whatever repeats it has to notice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.source import ROOT

#: For a test with the arguments ``replaced`` and ``by``.
other_declarations = pytest.mark.parametrize(
    ("replaced", "by"),
    [
        ("Int32ub", "Int32ul"),
        ("Int32sb", "Int32ub"),
        ('"size" / Int32ub', '"size" / Int16ub'),
        ('"the payload"', '"what is carried"'),
        ('"data" / Bytes', '"content" / Bytes'),
    ],
)


def changed_message(replaced: str, by: str) -> Any:
    """What ``MESSAGE`` would be, were a part of its declaration another."""
    wire = (ROOT / "src" / "vfiipc" / "codec" / "wire.py").read_text(encoding="utf-8")
    _, found, declaration = wire.partition("HEADER = ")
    assert replaced in declaration
    names: dict[str, Any] = {}
    exec("from construct import *\n" + found + declaration.replace(replaced, by), names)
    return names["MESSAGE"]
