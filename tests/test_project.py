"""What the project says about itself in several places is the same in all of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import tomli
import yaml

from tests.helpers.source import ROOT

with (ROOT / "pyproject.toml").open("rb") as _file:
    PROJECT: dict[str, Any] = tomli.load(_file)["project"]
CLASSIFIERS = PROJECT["classifiers"]
PYTHONS = [
    found[1] for line in CLASSIFIERS if (found := re.search(r":: Python :: (\d\.\d+)$", line))
]
TARGETS = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_supported_pythons_are_those_that_are_tested() -> None:
    assert len(PYTHONS) >= 4
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    check = _yaml(".github/workflows/ci.yml")["jobs"]["check"]
    assert check["strategy"]["matrix"]["python"] == PYTHONS
    assert [step["run"] for step in check["steps"] if "run" in step][-1] == ".ci/run"
    sessions = re.findall(r"nox\.session\(python=\[(.*)\]\)", (ROOT / "noxfile.py").read_text())
    assert [re.findall(r"[\d.]+", names) for names in sessions] == [PYTHONS]


def test_only_the_platform_that_is_tested_is_claimed() -> None:
    systems = [line for line in CLASSIFIERS if line.startswith("Operating System")]
    assert systems == ["Operating System :: POSIX :: Linux"]


def test_hooks_before_a_commit_are_commands_of_the_project() -> None:
    hooks = [hook for repo in _yaml(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert {hook["entry"] for hook in hooks} == {"make format", "make lint"}
    assert {"format", "lint"} <= set(TARGETS)


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md", "CONTRIBUTING.md", "pyproject.toml"])
def test_no_address_is_made_up(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"github\.com/(OWNER|USER|example|your)|@example\.(com|org)", text, re.I)
