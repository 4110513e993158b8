"""Errors in captures."""

from __future__ import annotations

__all__ = ["CaptureError", "MissingReader"]


class CaptureError(Exception):
    """The file is damaged, or its format is not supported. The message gives the reason."""


class MissingReader(CaptureError):
    """The library that reads captures is not installed, or does not work on this system."""
