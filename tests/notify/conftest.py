from __future__ import annotations

from tests.aio.conftest import loop

__all__ = ["loop"]
