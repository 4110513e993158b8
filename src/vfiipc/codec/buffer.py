"""The type of bytes-like arguments, which ``typing.get_type_hints`` can resolve, too."""

from __future__ import annotations

import collections.abc
from typing import TYPE_CHECKING

__all__ = ["Buffer"]

if TYPE_CHECKING:
    from typing_extensions import Buffer
else:
    # Python 3.12 brought the abstract class.
    Buffer = getattr(collections.abc, "Buffer", bytes | bytearray | memoryview)
