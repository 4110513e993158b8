"""Whoever changes the declaration changes everything, and the vectors notice."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spec.vectors import SPEC

ROOT = SPEC.parent
WIRE = Path("src", "vfiipc", "codec", "wire.py")

FOLLOWS = """
import struct
from vfiipc.codec import *

order = "{order}"
frame = encode(0x01020304, -2, b"data")
assert frame == struct.pack(order[0] + "I", 0x01020304) + struct.pack(
    order[1] + "I", 8) + struct.pack(order[2] + "i", -2) + b"data", frame
assert frame == encode_header(0x01020304, -2, 4) + b"data"
assert frame == encode_many(0x01020304, [(-2, b"data")])
assert frame == MESSAGE.build(dict(prefix=0x01020304, size=8, msg_id=-2, data=b"data"))
framer = Framer(0x01020304, 300)
refused = encode(0x01020304, 1, bytes(301))
for ask in (framer.drain, lambda: [framer.next_message()]):
    framer.receive_data(refused + frame)
    assert ask() == [(-2, b"data")]
assert framer.discarded == 2 * len(refused)
for byte in frame:
    framer.receive_data(bytes([byte]))
    messages = framer.drain()
assert messages == [(-2, b"data")]
framer.strict = True
framer.receive_data(frame[:11])
assert framer.next_message() is None and framer.bytes_wanted() == 5
print("followed")
"""


def copied(to: Path, replaced: str, by: str) -> Path:
    """A copy of the package and its vectors with another declaration."""
    for folder in ("src", "spec", "tests"):
        shutil.copytree(ROOT / folder, to / folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / WIRE).read_text(encoding="utf-8")
    head, imports, rest = re.split("(?<=\n)(from construct import .*\n)", text)
    assert replaced in rest
    imports = "from construct import *\n"
    (to / WIRE).write_text(head + imports + rest.replace(replaced, by), encoding="utf-8")
    return to


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Of the surroundings nothing that measures coverage: the copy is not the package.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    environment["PYTHONPATH"] = f"{copy / 'src'}{os.pathsep}{copy}"
    command = [sys.executable, "-B", *arguments]
    return subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, timeout=50
    )


@pytest.mark.long
@pytest.mark.parametrize(
    ("replaced", "by", "order"),
    [
        ("Int32ub", "Int32ub", ">>>"),
        ("Int32ub", "Int32ul", "<<>"),
        ("Int32sb", "Int32sl", ">><"),
        ('"size" / Int32ub', '"size" / Int32ul', "><>"),
    ],
)
def test_encoder_and_framer_follow_the_declaration(
    tmp_path: Path, replaced: str, by: str, order: str
) -> None:
    copy = copied(tmp_path, replaced, by)
    done = run(copy, "-c", FOLLOWS.format(order=order))
    assert (done.returncode, done.stdout) == (0, "followed\n"), done.stderr


@pytest.mark.long
def test_vectors_fail_when_the_byte_order_is_another(tmp_path: Path) -> None:
    copy = copied(tmp_path, "Int32ub", "Int32ul")
    shutil.copy(ROOT / "pyproject.toml", copy)
    vector = "tests/codec/test_vectors.py::test_vector"
    diagram = (
        "tests/spec/test_framing_prose.py::test_the_diagram_has_the_declared_sign_and_byte_order"
    )
    done = run(
        copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{vector}[encode-notification]",
        f"{vector}[decode-notification]", diagram,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    for failed in (f"{vector}[encode-notification]", f"{vector}[decode-notification]", diagram):
        assert f"FAILED {failed}" in done.stdout
