"""One suite that every transport passes.

A new transport needs a subclass with a factory, and says what it cannot do:

    class TestPipe(Conformance):
        has_addresses = False

        def connected_pair(self) -> Pair: ...
"""

from __future__ import annotations

from .suite.base import Pair
from .suite.callbacks import Callbacks
from .suite.closing import Closing
from .suite.ends import Ends, Failures, NotOpen
from .suite.messages import Messages
from .suite.reading import Arguments, Looking, Reading
from .suite.threads import Descriptors, Exceptions, Threads

__all__ = ["Conformance", "Pair"]


class Conformance(
    Messages,
    Reading,
    Looking,
    Arguments,
    Ends,
    Failures,
    NotOpen,
    Closing,
    Threads,
    Descriptors,
    Exceptions,
    Callbacks,
):
    """All of it."""
