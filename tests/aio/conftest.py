from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest

from .loops import LOOPS, Run, run


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Run[Any]:
    """Runs a coroutine, under each kind of event loop."""
    kind: str = request.param

    def run_there(main: Coroutine[Any, Any, Any]) -> Any:
        return run(kind, main)

    return run_there
