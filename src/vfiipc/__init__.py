"""ADK IPC in Python: the framed-message protocol between payment terminals and applications."""

from __future__ import annotations

from ._version import __version__
from .codec import Message
from .transport import IPC, TCP, PeekResult

__all__ = ["IPC", "TCP", "Message", "PeekResult", "__version__"]
