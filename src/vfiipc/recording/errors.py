"""Errors in captures."""

from __future__ import annotations

__all__ = ["CaptureError", "MissingReader"]


class CaptureError(Exception):
    """The file is damaged, or is of a kind that cannot be read; the text says which."""


class MissingReader(CaptureError):
    """The library that reads captures is not installed, or does not work here."""
