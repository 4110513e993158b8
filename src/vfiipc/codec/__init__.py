"""The wire format and the receiver, without I/O: embed it in any I/O stack."""

from __future__ import annotations

from .arguments import check_integer, flat_bytes
from .buffer import Buffer
from .errors import FramingError, SyncLostError
from .framer import Framer
from .layout import (
    HEADER_SIZE,
    MAX_DATA_SIZE,
    MSG_ID,
    MSG_ID_SIZE,
    PREFIX,
    PREFIX_AND_SIZE,
    SIZE,
    Field,
)
from .message import EncodedBatch, Message, encode, encode_batches, encode_header, encode_many
from .wire import HEADER, MESSAGE

__all__ = [
    "HEADER",
    "HEADER_SIZE",
    "MAX_DATA_SIZE",
    "MESSAGE",
    "MSG_ID",
    "MSG_ID_SIZE",
    "PREFIX",
    "PREFIX_AND_SIZE",
    "SIZE",
    "Buffer",
    "EncodedBatch",
    "Field",
    "Framer",
    "FramingError",
    "Message",
    "SyncLostError",
    "check_integer",
    "encode",
    "encode_batches",
    "encode_header",
    "encode_many",
    "flat_bytes",
]
