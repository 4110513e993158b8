"""Recorded streams: reads and writes captures, reads hex dumps, and decodes messages."""

from __future__ import annotations

from .annotate import Annotator, Cut, Decoded, Discarded, FalseHeader, Gap, Item
from .captures import Capture, is_capture
from .errors import CaptureError, MissingReader
from .guess import Guess, guess_prefixes
from .hexdumps import HexDumpError, looks_like_hex_dump, parse_hex_dump
from .reassembly import Chunk, RecordedConnection
from .recorder import Recorder, Track

__all__ = [
    "Annotator",
    "Capture",
    "CaptureError",
    "Chunk",
    "Cut",
    "Decoded",
    "Discarded",
    "FalseHeader",
    "Gap",
    "Guess",
    "HexDumpError",
    "Item",
    "MissingReader",
    "RecordedConnection",
    "Recorder",
    "Track",
    "guess_prefixes",
    "is_capture",
    "looks_like_hex_dump",
    "parse_hex_dump",
]
