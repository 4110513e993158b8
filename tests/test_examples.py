"""Every program in ``examples/`` runs by itself and prints what its own header says."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.helpers.requirements import skip_or_fail
from tests.helpers.source import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
INDEX = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
TIMEOUT = 110


def _header(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _shown(path: Path) -> str:
    """What the header says that the program prints."""
    command = f"Run ``python examples/{path.name}``; it prints::\n\n"
    before, found, output = _header(path).partition(command)
    assert found, f"{path.name} does not say how to run it"
    assert "\n\n" in before, f"{path.name} says nothing about itself"
    return textwrap.dedent(output) + "\n"


def _skip_without_its_packages(path: Path) -> None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            if importlib.util.find_spec(name.partition(".")[0]) is None:
                skip_or_fail(f"{name} is not installed")


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7


@pytest.mark.long
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_prints_what_its_header_says(path: Path, tmp_path: Path) -> None:
    _skip_without_its_packages(path)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=tmp_path,
        env={**os.environ, "CI": "true"},  # Hypothesis then does not judge how fast the machine is
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", _shown(path))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_is_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    header = text[: text.index('"""', 3)].count("\n") + 1
    assert text.count("\n") - header < 60


def test_the_index_names_each_of_them() -> None:
    linked = re.findall(r"\]\((\w+\.py)\)", INDEX)
    assert sorted(linked) == [path.name for path in EXAMPLES]
