"""Whoever changes the declaration alone is told what repeats it in other languages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.codec.test_declared_once import ROOT, copied, run

pytestmark = pytest.mark.long

CHECKS = (
    "tests/spec/test_wireshark.py::test_the_table_is_what_the_library_declares",
    "tests/spec/test_kaitai.py::test_the_fields_are_those_that_the_library_declares",
)


def checked(copy: Path) -> tuple[int, str]:
    shutil.copy(ROOT / "pyproject.toml", copy)
    done = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CHECKS)
    return done.returncode, done.stdout + done.stderr


def test_both_checks_pass_on_a_faithful_copy(tmp_path: Path) -> None:
    status, printed = checked(copied(tmp_path, "Int32ub", "Int32ub"))
    assert (status, "2 passed" in printed) == (0, True), printed


def test_both_checks_fail_when_the_byte_order_is_another(tmp_path: Path) -> None:
    status, printed = checked(copied(tmp_path, "Int32ub", "Int32ul"))
    assert (status, "2 failed" in printed) == (1, True), printed


def test_both_checks_fail_when_a_meaning_is_another(tmp_path: Path) -> None:
    status, printed = checked(copied(tmp_path, "the payload", "what is carried"))
    assert (status, "2 failed" in printed) == (1, True), printed
