"""``spec/kaitai/vfiipc.ksy``, compiled to Python and to JavaScript, against the vectors."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import kaitaistruct  # type: ignore[import-untyped]
import pytest
import yaml

from tests.helpers.requirements import program, skip_or_fail
from tests.helpers.source import ROOT
from tests.spec.changed import changed_message, other_declarations
from tests.spec.vectors import SPEC, Case, all_cases, as_bytes, as_messages, as_prefix
from vfiipc.codec import HEADER, MESSAGE, Framer, Message, SyncLostError

SOURCE = SPEC / "kaitai" / "vfiipc.ksy"
README = (SPEC / "kaitai" / "README.md").read_text(encoding="utf-8")
PACKAGES = ROOT / "build" / "kaitai" / "node_modules"
HERE = Path(__file__).parent
TIMEOUT = 50


def node(*arguments: str | Path, given: str = "") -> str:
    """What a script prints that may use the installed packages."""
    if not (PACKAGES / "kaitai-struct-compiler").is_dir():
        skip_or_fail("the Kaitai Struct compiler is not installed; tools/install_kaitai.sh does it")
    done = subprocess.run(
        [program("node"), *arguments],
        env={**os.environ, "NODE_PATH": str(PACKAGES)},
        input=given,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("kaitai")
    node(HERE / "kaitai_compile.js", SOURCE, folder)
    return folder


@pytest.fixture(scope="module")
def in_python(compiled: Path) -> Any:
    """The class that was compiled to Python."""
    spec = importlib.util.spec_from_file_location("compiled_vfiipc", compiled / "vfiipc.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Vfiipc


class Stream(NamedTuple):
    """One vector: the bytes, and the parameters of the receiver."""

    name: str
    prefix: int
    limit: int
    data: bytes
    case: Case

    def strictly(self) -> tuple[list[Message], int, bool]:
        """What a strict receiver makes of it: messages, where they end, whether that is the end."""
        framer = Framer(self.prefix, self.limit, strict=True)
        framer.receive_data(self.data)
        found = []
        try:
            while (message := framer.next_message()) is not None:
                found.append(message)
        except SyncLostError:
            pass
        return found, len(self.data) - framer.pending, framer.pending == 0


STREAMS = [
    Stream(case["id"], as_prefix(case["prefix"]), case["limit"], as_bytes(case["input"]), case)
    for case in all_cases()
    if case["kind"] == "decode"
]


def test_there_are_streams_with_and_without_faults() -> None:
    whole = [stream for stream in STREAMS if stream.strictly()[2]]
    assert len(whole) > 50
    assert len(STREAMS) - len(whole) > 50


def test_javascript_takes_the_vectors_as_a_strict_receiver_does(compiled: Path) -> None:
    given = [
        {"prefix": stream.prefix, "limit": stream.limit, "data": stream.data.hex()}
        for stream in STREAMS
    ]
    results = json.loads(node(HERE / "kaitai_decode.js", compiled, given=json.dumps(given)))
    assert len(results) == len(STREAMS)
    for stream, result in zip(STREAMS, results):
        found, end, is_whole = stream.strictly()
        decoded = [(msg_id, bytes.fromhex(data)) for msg_id, data in result["messages"]]
        assert (decoded, result["at"], result["error"] is None) == (found, end, is_whole), stream


def test_python_takes_the_vectors_as_a_strict_receiver_does(in_python: Any) -> None:
    for stream in STREAMS:
        io = kaitaistruct.KaitaiStream(kaitaistruct.BytesIO(stream.data))
        found, end, is_whole = stream.strictly()
        if is_whole:
            parsed = in_python(stream.prefix, stream.limit, io)
            assert [(part.msg_id, part.data) for part in parsed.messages] == found, stream.name
            sizes = [part.size - len(part.data) for part in parsed.messages]
            assert sizes == [HEADER.msg_id.sizeof()] * len(found)
        else:
            with pytest.raises((EOFError, kaitaistruct.ValidationFailedError)):
                in_python(stream.prefix, stream.limit, io)
            assert io.pos() >= end


def test_the_search_of_the_readme_takes_the_vectors_as_a_lenient_receiver_does(
    in_python: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (name,) = re.findall(r"^from (\w+) import Vfiipc\b", code, re.MULTILINE)
    module: Any = ModuleType(name)
    module.Vfiipc = in_python
    monkeypatch.setitem(sys.modules, name, module)
    names: dict[str, Any] = {}
    exec(code, names)
    lenient = [stream for stream in STREAMS if not stream.case["strict"]]
    assert len(lenient) > 100
    for stream in lenient:
        found = list(names["search"](stream.data, stream.prefix, stream.limit))
        expected = as_messages(stream.case["messages"])
        assert [(part.msg_id, part.data) for part in found] == expected, stream.name


# The declaration


def declared(part: Any) -> dict[str, Any]:
    """How the field of a declared message is to be declared for Kaitai."""
    if not hasattr(part.subcon, "fmtstr"):
        return {"id": part.name, "size": f"size - {HEADER.msg_id.sizeof()}", "doc": part.docs}
    order, letter = part.subcon.fmtstr
    kind = f"{'s' if letter.islower() else 'u'}{part.sizeof()}{'' if order == '>' else 'le'}"
    return {"id": part.name, "type": kind, "doc": part.docs}


def fields() -> list[dict[str, Any]]:
    """The fields of a message as the .ksy file has them, without their checks."""
    content = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    assert content["meta"]["endian"] == "be"
    sequence = content["types"]["message"]["seq"]
    return [{key: field[key] for key in field if key != "valid"} for field in sequence]


def test_the_fields_are_those_that_the_library_declares() -> None:
    assert fields() == [declared(part) for part in MESSAGE.subcons]


@other_declarations
def test_another_declaration_is_noticed(replaced: str, by: str) -> None:
    assert fields() != [declared(part) for part in changed_message(replaced, by).subcons]
