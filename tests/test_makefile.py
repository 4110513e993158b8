from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.helpers.source import ROOT


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("arguments", [[], ["ARGS=tests/cli"]])
def test_the_coverage_floor_is_for_all_tests_together(arguments: list[str]) -> None:
    plan = subprocess.run(
        ["make", "--dry-run", "test", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("--cov-fail-under=0" in plan.stdout) is bool(arguments)
    assert ("coverage report" in plan.stdout) is not bool(arguments)
