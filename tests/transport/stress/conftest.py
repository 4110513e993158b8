"""All stress tests take long; with SOAK=1 they run longer still, so they get more time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == FOLDER:
            item.add_marker(pytest.mark.long)
            if os.environ.get("SOAK") == "1":
                item.add_marker(pytest.mark.timeout(600))
