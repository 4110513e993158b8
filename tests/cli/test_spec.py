"""``vfiipc spec`` lists the specification and writes it out, and never overwrites unasked."""

from __future__ import annotations

from pathlib import Path

from tests.cli.program import run
from tests.helpers.source import ROOT

SPEC = {
    path.relative_to(ROOT / "spec").as_posix(): path.read_bytes()
    for path in (ROOT / "spec").rglob("*")
    if path.is_file()
}


def written(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_lists_every_file() -> None:
    assert {"framing.md", "vectors/resync.json", "wireshark/vfiipc.lua"} <= SPEC.keys()
    done = run("spec")
    assert (done.status, done.err) == (0, "")
    assert sorted(done.out.decode().split()) == sorted(SPEC)


def test_it_writes_every_file(tmp_path: Path) -> None:
    done = run("spec", "--to", str(tmp_path / "new" / "folder"))
    assert (done.status, done.err) == (0, "")
    assert written(tmp_path / "new" / "folder") == SPEC
    assert run("spec", "--to", str(tmp_path / "new" / "folder")).status == 0


def test_a_file_that_differs_is_replaced_only_if_asked(tmp_path: Path) -> None:
    (tmp_path / "ipc.md").write_text("notes of my own")
    done = run("spec", "--to", str(tmp_path))
    assert (done.status, done.out) == (1, b"")
    assert f"{tmp_path / 'ipc.md'} exists and differs" in done.err
    assert list(written(tmp_path)) == ["ipc.md"]
    assert run("spec", "--to", str(tmp_path), "--force").status == 0
    assert written(tmp_path) == SPEC


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = run("spec", "--to", str(tmp_path / "file"))
    assert (done.status, done.out) == (1, b"")
    assert done.err.count("\n") == 1
    assert str(tmp_path / "file") in done.err
