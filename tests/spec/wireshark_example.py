"""The capture that is shown in ``spec/wireshark/README.md``; run this to write it anew."""

from __future__ import annotations

from tests.helpers import captures
from tests.spec.vectors import SPEC
from vfiipc.codec import MAX_DATA_SIZE, encode, encode_header

CAPTURE = SPEC / "wireshark" / "example.pcap"

_PREFIX = 0xC0DEFACE
_CLIENT, _SERVER = 49152, 5000


def content() -> bytes:
    """A request in three segments, a status and a result, garbage and a last message."""
    request = encode(_PREFIX, 1, b'{"request": "payment", "amount": 1250, "currency": "EUR"}')
    status = encode(_PREFIX, 2, b"please insert card")
    result = encode(_PREFIX, 1, b'{"result": "approved"}')
    refused = encode_header(_PREFIX, 0, MAX_DATA_SIZE)[:8]
    thanks = encode(_PREFIX, -1, b"")
    there = captures.in_order([request[:20], request[20:40], request[40:]])
    back = captures.in_order(
        [status + result[:20], result[20:], b"\r\n" + refused + thanks], is_answer=True
    )
    return captures.pcap(captures.connection(_CLIENT, _SERVER, there + back))


if __name__ == "__main__":
    CAPTURE.write_bytes(content())
