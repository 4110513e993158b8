"""With SOAK=1 the stress tests run longer, so they get more time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("SOAK") == "1":
        for item in items:
            if item.path.parent == FOLDER:
                item.add_marker(pytest.mark.timeout(600))
