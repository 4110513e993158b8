"""What ``peek`` gives."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PeekResult"]

_SHOWN = 8


class PeekResult(NamedTuple):
    """What lies at the front of a connection: ``n`` as the original returns it, and the bytes.

    ``n`` is the number of bytes, 0 at the end of the stream, -1 after an error, -2 when the time
    was up. The repr shows at most 8 bytes, for payloads can be card data.
    """

    n: int
    data: bytes

    def __repr__(self) -> str:
        more = "..." if len(self.data) > _SHOWN else ""
        return f"PeekResult(n={self.n}, data={self.data[:_SHOWN]!r}{more})"
