"""The settings that blocking and asyncio connections share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..codec import Framer
from .routing import Routing

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """The keywords that ``connect`` and ``serve`` share; validated on creation.

    Raises:
        TypeError, ValueError: a value is of the wrong type, or out of range.
    """

    prefix: int
    size_limit: int
    strict: bool
    request_ids: range
    max_unclaimed: int
    max_unclaimed_size: int

    def __post_init__(self) -> None:
        self.framer()
        self.routing()

    def framer(self) -> Framer:
        """A framer for a new connection."""
        return Framer(self.prefix, self.size_limit, strict=self.strict)

    def routing(self) -> Routing[Any]:
        """Requests and unclaimed messages for a new connection."""
        return Routing(self.request_ids, self.max_unclaimed, self.max_unclaimed_size)
