"""The wire format and the receiver, without I/O: embed it in any I/O stack."""

from __future__ import annotations

from .batches import EncodedBatch, encode_batches
from .errors import FramingError, SyncLostError
from .framer import Framer
from .layout import COUNTED, HEADER_SIZE, JUDGED_SIZE, MAX_DATA_SIZE, MSG_ID, PREFIX, SIZE, Field
from .message import Message, encode, encode_header, encode_many
from .wire import HEADER, MESSAGE

__all__ = [
    "COUNTED",
    "HEADER",
    "HEADER_SIZE",
    "JUDGED_SIZE",
    "MAX_DATA_SIZE",
    "MESSAGE",
    "MSG_ID",
    "PREFIX",
    "SIZE",
    "EncodedBatch",
    "Field",
    "Framer",
    "FramingError",
    "Message",
    "SyncLostError",
    "encode",
    "encode_batches",
    "encode_header",
    "encode_many",
]
