"""One suite that every transport passes.

A new transport needs a subclass with a factory, and says what it cannot do:

    class TestPipe(Conformance):
        has_addresses = False

        def connected_pair(self) -> Pair: ...
"""

from __future__ import annotations

from .suite.base import Pair
from .suite.closing import Closing
from .suite.ends import Ends, Failures, NotOpen
from .suite.messages import Messages
from .suite.reading import Arguments, Looking, Reading

__all__ = ["Conformance", "Pair"]


class Conformance(Messages, Reading, Looking, Arguments, Ends, Failures, NotOpen, Closing):
    """All of it."""
