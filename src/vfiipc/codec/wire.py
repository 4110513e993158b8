"""The wire format, declared. Nothing else in the project states a width, an order or a sign.

See ``spec/framing.md`` for the same format in prose.
"""

from __future__ import annotations

from construct import Bytes, Int32sb, Int32ub, Struct, this

__all__ = ["HEADER", "MESSAGE"]

HEADER = Struct(
    "prefix" / Int32ub * "synchronisation mark, chosen by the application",
    "size" / Int32ub * "bytes that follow this field: the message ID and the data",
    "msg_id" / Int32sb * "free for the application: a request number, a logical channel",
)

MESSAGE = Struct(
    *HEADER.subcons,
    "data" / Bytes(this.size - HEADER.msg_id.sizeof()) * "the payload",
)
