"""ADK IPC in Python: the framed-message protocol between payment terminals and applications."""

from __future__ import annotations

from ._version import __version__

__all__ = ["__version__"]
