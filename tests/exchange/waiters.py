"""A caller that waits, as both kinds of connections have them."""

from __future__ import annotations


class Caller:
    """Waits until it is told that it is done, as a future that was cancelled."""

    def __init__(self, name: object = "") -> None:
        self.name = name
        self.over = False

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def done(self) -> bool:
        return self.over
