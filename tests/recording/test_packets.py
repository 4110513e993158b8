from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfiipc.recording import Recorder
from vfiipc.recording.packets import LINK_TYPES, Segment, Skipped, dissect

SOURCE, TARGET = "192.0.2.1:40000", "192.0.2.2:5000"
SOURCE_6, TARGET_6 = "[2001:db8::1]:40000", "[::1]:5000"


def recorded(source: str, target: str) -> bytes:
    """The packet with data of a recording, without what is around it in the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording"
        with Recorder(path) as recorder:
            track = recorder.connection(source, target)
            begun = path.stat().st_size
            track.data(True, b"hello")
        return path.read_bytes()[begun + struct.calcsize("IIII") :]


IPV4, IPV6 = recorded(SOURCE, TARGET), recorded(SOURCE_6, TARGET_6)
EXPECTED = Segment(SOURCE, TARGET, 1, 1, 0x18, b"hello")

FRAMES = [
    (1, bytes(12) + b"\x08\x00" + IPV4),
    (1, bytes(12) + b"\x08\x00" + IPV4 + bytes(6)),  # padded
    (1, bytes(12) + b"\x81\x00\x00\x01\x08\x00" + IPV4),
    (1, bytes(12) + b"\x88\xa8\x00\x01\x81\x00\x00\x02\x08\x00" + IPV4),
    (0, b"\x02\x00\x00\x00" + IPV4),
    (101, IPV4),
    (113, bytes(14) + b"\x08\x00" + IPV4),
    (276, b"\x08\x00" + bytes(18) + IPV4),
]


@pytest.mark.parametrize(("link", "frame"), FRAMES)
def test_every_link(link: int, frame: bytes) -> None:
    assert dissect(link, frame) == EXPECTED


def test_ipv6_and_its_extension_headers() -> None:
    expected = EXPECTED._replace(source=SOURCE_6, target=TARGET_6)
    assert dissect(101, IPV6) == expected
    length = struct.unpack_from("!H", IPV6, 4)[0]
    extended = IPV6[:4] + struct.pack("!HB", length + 8, 0) + IPV6[7:40]
    extended += bytes([6, 0, 1, 4, 0, 0, 0, 0]) + IPV6[40:]
    assert dissect(101, extended) == expected


def _with_header(kind: int, header: bytes) -> bytes:
    """``IPV6`` with an extension header in front of TCP."""
    length = struct.unpack_from("!H", IPV6, 4)[0] + len(header)
    return IPV6[:4] + struct.pack("!HB", length, kind) + IPV6[7:40] + header + IPV6[40:]


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        (44, bytes([6, 0, 0, 0, 1, 2, 3, 4])),  # a fragment that is the whole packet
        (44, bytes([6, 0, 0, 6, 1, 2, 3, 4])),  # the same, with reserved bits
        (51, bytes([6, 1, 0, 0]) + bytes(8)),
        *[(kind, bytes([6, 1]) + bytes(14)) for kind in (0, 43, 60, 135, 139, 140)],
    ],
)
def test_headers_between_ip_and_tcp(kind: int, header: bytes) -> None:
    expected = EXPECTED._replace(source=SOURCE_6, target=TARGET_6)
    assert dissect(101, _with_header(kind, header)) == expected


@pytest.mark.parametrize("fragment", [0x0001, 0x0008, 0xFFF9])
def test_parts_of_a_packet(fragment: int) -> None:
    header = struct.pack("!BxHI", 6, fragment, 1)
    with pytest.raises(Skipped, match="fragment"):
        dissect(101, _with_header(44, header))


def test_authentication_in_ipv4() -> None:
    header = bytes([6, 4, 0, 0]) + bytes(20)
    length = struct.pack("!H", len(IPV4) + len(header))
    packet = IPV4[:2] + length + IPV4[4:9] + b"\x33" + IPV4[10:20] + header + IPV4[20:]
    assert dissect(101, packet) == EXPECTED


def test_what_the_capture_does_not_hold_is_missing() -> None:
    assert dissect(101, IPV4[:-2]) == EXPECTED._replace(data=b"hel", missing=2)


def test_a_length_that_the_network_card_fills_in() -> None:
    assert dissect(101, IPV4[:2] + bytes(2) + IPV4[4:]) == EXPECTED


@pytest.mark.parametrize(
    ("link", "frame", "says"),
    [
        (101, b"", "not IP"),
        (1, bytes(12) + b"\x08\x06" + bytes(28), "not IP"),
        (101, IPV4[:9] + b"\x11" + IPV4[10:], "not TCP"),
        (101, IPV4[:6] + b"\x20\x00" + IPV4[8:], "fragment"),
        (101, IPV6[:6] + b"\x2c" + IPV6[7:], "fragment"),
        (101, IPV4[:30], "truncated headers"),
        (101, IPV4[:32] + b"\x10" + IPV4[33:], "damaged headers"),
        (9999, IPV4, "link type 9999"),
    ],
)
def test_what_is_no_segment(link: int, frame: bytes, says: str) -> None:
    with pytest.raises(Skipped, match=says):
        dissect(link, frame)


@given(st.sampled_from(sorted(LINK_TYPES)), st.binary(max_size=80))
def test_nothing_else_is_raised(link: int, frame: bytes) -> None:
    try:
        dissect(link, frame)
    except Skipped:
        pass
