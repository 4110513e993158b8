"""The sdist has what its own tests need; the wheel has the specification; both can be rebuilt."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import construct
import pytest

from tests.helpers.source import ROOT

pytest.importorskip("hatchling")
TIMEOUT = 100
# A few quick tests that read files outside src/ and tests/.
TESTS_IN_THE_SDIST = ["tests/spec/test_vector_files.py", "tests/test_makefile.py"]


pytestmark = pytest.mark.long


class Built(NamedTuple):
    sdist: Path
    wheel: Path


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    # What runs in another place is not measured: its lines are no lines of this place.
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith("COV")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**inherited, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def build(source: Path, to: Path) -> Built:
    run(sys.executable, "-m", "hatchling", "build", "-d", to, cwd=source, SOURCE_DATE_EPOCH="0")
    (sdist,), (wheel,) = to.glob("*.tar.gz"), to.glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(ROOT, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def unpacked(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(built.sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return source


def test_the_sdist_has_every_file_of_the_repository(unpacked: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a clone")
    tracked = run("git", "ls-files", cwd=ROOT).split("\n")[:-1]
    assert len(tracked) > 300
    assert [
        name for name in tracked if (ROOT / name).exists() and not (unpacked / name).exists()
    ] == []


def test_tests_run_in_the_unpacked_sdist(unpacked: Path) -> None:
    source = str(unpacked / "src")
    where = "import vfiipc; print(vfiipc.__file__)"
    assert source in run(sys.executable, "-c", where, cwd=unpacked, PYTHONPATH=source)
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    printed = run(*pytest_command, *TESTS_IN_THE_SDIST, cwd=unpacked, PYTHONPATH=source)
    assert " passed" in printed


def test_builds_are_the_same_byte_for_byte(built: Built, unpacked: Path, tmp_path: Path) -> None:
    again = build(unpacked, tmp_path)
    assert again.sdist.name == built.sdist.name
    assert again.sdist.read_bytes() == built.sdist.read_bytes()
    assert again.wheel.read_bytes() == built.wheel.read_bytes()


def test_the_wheel_has_the_specification_and_the_code_alone(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = set(wheel.namelist())
    spec = {
        f"vfiipc/spec/{path.relative_to(ROOT / 'spec').as_posix()}"
        for path in (ROOT / "spec").rglob("*")
        if path.is_file()
    }
    assert spec <= names
    top = {name.partition("/")[0].partition("-")[0] for name in names}
    assert top == {"vfiipc", "_vfiipc_pytest_plugin.py"}
    assert not [name for name in names if "__pycache__" in name]


def test_an_installed_wheel_has_commands_and_vectors(built: Built, tmp_path: Path) -> None:
    folder = tmp_path / "venv"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python]
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", built.wheel, cwd=tmp_path)
    # What the wheel depends on comes from this environment, for tests need no network.
    (tmp_path / "needed").mkdir()
    (tmp_path / "needed" / "construct").symlink_to(Path(construct.__file__).parent)
    env = {"PYTHONPATH": str(tmp_path / "needed"), "PYTHONWARNINGS": "error"}

    command = folder / "bin" / "vfiipc"
    assert run(command, "--version", cwd=tmp_path, **env).startswith("vfiipc ")
    run(command, "spec", "--to", "spec", cwd=tmp_path, **env)
    for path in (ROOT / "spec").rglob("*"):
        if path.is_file():
            name = path.relative_to(ROOT)
            assert (tmp_path / name).read_bytes() == path.read_bytes(), name
