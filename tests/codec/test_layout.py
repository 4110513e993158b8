"""What is derived from the declaration, for declarations other than the real one too."""

from __future__ import annotations

import importlib.util
import re
import struct
from types import ModuleType

import pytest
from construct import Int8ub, Int16ub, Int32sb, Int32ub, Int32ul, Int64sb, Struct
from hypothesis import given
from hypothesis import strategies as st

from tests.spec.test_framing_prose import RULES
from tests.spec.vectors import SPEC
from vfiipc.codec import HEADER, MAX_DATA_SIZE, layout, wire

UINT, INT = st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1)


@given(prefix=UINT, size=UINT, msg_id=INT, before=st.binary(max_size=3))
def test_the_packer_is_the_declaration(prefix: int, size: int, msg_id: int, before: bytes) -> None:
    packed = layout.pack_header(prefix, size, msg_id)
    assert packed == HEADER.build({"prefix": prefix, "size": size, "msg_id": msg_id})
    assert layout.unpack_header(before + packed, len(before)) == (prefix, size, msg_id)


def test_one_byte_order_takes_one_struct() -> None:
    packer = layout.header_struct([">I", ">H", ">i"])
    assert isinstance(packer, struct.Struct)
    assert packer.format == ">IHi"


@given(prefix=UINT, size=UINT, msg_id=INT, before=st.binary(max_size=3))
def test_mixed_byte_orders_are_packed_field_by_field(
    prefix: int, size: int, msg_id: int, before: bytes
) -> None:
    packer = layout.header_struct(["<I", ">I", "<i"])
    packed = packer.pack(prefix, size, msg_id)
    assert packed == struct.pack("<I", prefix) + struct.pack(">I", size) + struct.pack("<i", msg_id)
    assert packer.unpack_from(before + packed, len(before)) == (prefix, size, msg_id)
    assert packer.unpack_from(packed) == (prefix, size, msg_id)
    with pytest.raises(struct.error):
        packer.pack(prefix, 2**32, msg_id)
    with pytest.raises(struct.error):
        packer.unpack_from(packed, 1)


def derived_from(declared: object, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as it would be with another declaration."""
    spec = importlib.util.spec_from_file_location(layout.__name__, layout.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(wire, "HEADER", declared)
    spec.loader.exec_module(module)
    return module


def test_widths_signs_and_orders_are_those_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = Struct(
        "prefix" / Int16ub * "documented", "size" / Int32ul, "msg_id" / ("more" / Int64sb)
    )
    derived = derived_from(declared, monkeypatch)
    prefix, size, msg_id = derived.PREFIX, derived.SIZE, derived.MSG_ID
    assert (prefix.name, prefix.offset, prefix.packer.format) == ("prefix", 0, ">H")
    assert (size.name, size.offset, size.packer.format) == ("size", 2, "<L")
    assert (msg_id.name, msg_id.offset, msg_id.packer.format) == ("msg_id", 6, ">q")
    assert (prefix.lowest, prefix.highest) == (0, 2**16 - 1)
    assert (size.lowest, size.highest) == (0, 2**32 - 1)
    assert (msg_id.lowest, msg_id.highest) == (-(2**63), 2**63 - 1)
    assert (derived.HEADER_SIZE, derived.PREFIX_AND_SIZE, derived.MSG_ID_SIZE) == (14, 6, 8)


@pytest.mark.parametrize(
    "declared",
    [
        Struct("size" / Int32ub, "prefix" / Int32ub, "msg_id" / Int32sb),
        Struct("prefix" / Int32ub, "size" / Int32ub, "msg_id" / Int32sb, "more" / Int8ub),
    ],
)
def test_a_header_with_other_fields_is_refused_at_import(
    declared: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = "^the receiver reads prefix, size and msg_id, in this order: see HEADER$"
    with pytest.raises(ImportError, match=wanted):
        derived_from(declared, monkeypatch)


def test_the_numbers_are_those_of_the_spec() -> None:
    assert (layout.HEADER_SIZE, layout.PREFIX_AND_SIZE, layout.MSG_ID_SIZE) == (12, 8, 4)
    assert (layout.MIN_SIZE, layout.MAX_SIZE) == (4, 2**31 - 1)
    assert MAX_DATA_SIZE == 2**31 - 5


def test_every_rule_that_the_code_names_is_in_the_spec() -> None:
    package = SPEC.parent / "src" / "vfiipc" / "codec"
    text = "".join(path.read_text(encoding="utf-8") for path in package.glob("*.py"))
    named = set(re.findall(r"\bFRM-[A-Z]\d+\b", text))
    assert {f"FRM-R{step}" for step in range(1, 8)} <= named
    assert {"FRM-S1", "FRM-S4", "FRM-E4", "FRM-E7", "FRM-F5", "FRM-F6"} <= named
    assert named <= set(RULES)
    assert not re.search(r"(?<!-)\b[SRFEC]\d\b", text)
