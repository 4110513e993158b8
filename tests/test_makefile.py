from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.helpers.source import ROOT


def plan(*arguments: str) -> str:
    done = subprocess.run(
        ["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_some_tests_can_be_run_and_coverage_is_of_all_tests_together() -> None:
    assert "-k framer" in plan("test", "ARGS=-k framer")
    assert "--cov" not in plan("test")
    assert "--fail-under=100" in plan("coverage")
    assert "-k framer" not in plan("coverage", "ARGS=-k framer")
