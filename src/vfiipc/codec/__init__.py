"""The wire format and the receiver, without I/O: embed it in any I/O stack."""

from __future__ import annotations

from .errors import FramingError, SyncLostError
from .framer import Framer
from .layout import MAX_DATA_SIZE
from .message import Message, encode, encode_header, encode_many
from .wire import HEADER, MESSAGE

__all__ = [
    "HEADER",
    "MAX_DATA_SIZE",
    "MESSAGE",
    "Framer",
    "FramingError",
    "Message",
    "SyncLostError",
    "encode",
    "encode_header",
    "encode_many",
]
