"""The wire format and the receiver, without I/O: embed it in any I/O stack."""

from __future__ import annotations

from .batches import EncodedBatch, encode_batches
from .errors import FramingError, SyncLostError
from .framer import Framer
from .layout import MAX_DATA_SIZE
from .message import Message, encode, encode_header, encode_many
from .wire import HEADER, MESSAGE

__all__ = [
    "HEADER",
    "MAX_DATA_SIZE",
    "MESSAGE",
    "EncodedBatch",
    "Framer",
    "FramingError",
    "Message",
    "SyncLostError",
    "encode",
    "encode_batches",
    "encode_header",
    "encode_many",
]
