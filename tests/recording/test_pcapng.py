from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.captures import connection, in_order, pcap
from tests.helpers.pcapng import BIG, ETHERNET, LITTLE, RAW_IP, Writer
from tests.helpers.requirements import program
from vfiipc.recording import Capture, CaptureError, Recorder
from vfiipc.recording.pcapng import Frame, read_frames

W = Writer()
WHOLE = W.section() + W.interface() + W.packet(b"abc", time=1) + W.packet(b"d", time=2)


def _read(content: bytes) -> list[Frame]:
    return list(read_frames(io.BytesIO(content)))


@pytest.mark.parametrize("order", [LITTLE, BIG])
def test_every_kind_of_packet(order: str) -> None:
    w = Writer(order)
    content = w.section() + w.interface(ETHERNET, snap_length=2) + w.interface(RAW_IP)
    content += w.packet(b"abc", interface=1, time=3 << 32) + w.block(0x0BAD, b"unknown")
    content += w.old_packet(b"de", interface=1, time=2_000_000) + w.simple_packet(b"fg", 9)
    assert _read(content) == [
        ((3 << 32) / 1e6, RAW_IP, b"abc"),
        (2.0, RAW_IP, b"de"),
        (0.0, ETHERNET, b"fg"),
    ]


def test_a_section_has_its_own_byte_order_and_interfaces() -> None:
    big = Writer(BIG)
    content = WHOLE + big.section() + big.interface(RAW_IP) + big.packet(b"e", time=3)
    assert [(link_type, data) for _, link_type, data in _read(content)] == [
        (ETHERNET, b"abc"),
        (ETHERNET, b"d"),
        (RAW_IP, b"e"),
    ]


@pytest.mark.parametrize(
    ("resolution", "offset", "expected"),
    [
        (None, None, 5e-6),
        (3, None, 5e-3),
        (9, 100, 100 + 5e-9),
        (0, -3, 2.0),
        (0x81, None, 2.5),
        # No clock is like these, but the bytes are as good as any.
        (0x7F, None, 5e-127),
        (0xFF, None, 5 * 2.0**-127),
        (0, 2**63 - 1, 5.0 + (2**63 - 1)),
        (0, -(2**63), 5.0 - 2**63),
    ],
)
def test_times(resolution: int | None, offset: int | None, expected: float) -> None:
    content = W.section() + W.interface(resolution=resolution, offset=offset)
    ((time, _, _),) = _read(content + W.packet(b"", time=5))
    assert time == pytest.approx(expected)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ""),
        (W.packet(b"abc"), "does not begin with a section"),
        (WHOLE[:6], "truncated in the header of a section"),
        (WHOLE[:20], "truncated in a block"),
        (WHOLE[:-1], "truncated in a block"),
        (WHOLE + b"\x06\x00", "truncated in a block"),
        (WHOLE + b"\x06\x00\x00\x00\xff\xff\xff\xff", "invalid length of 4,294,967,295 bytes"),
        (WHOLE + b"\x06\x00\x00\x00\x08\x00\x00\x00", "invalid length of 8 bytes"),
        (WHOLE[:-4] + bytes(4), "a block of 36 bytes has a different length at its end"),
        (W.section() + W.packet(b"abc"), "interface 0, which has no description"),
        (W.section() + W.block(6, bytes(8)), "type 6 has only 20 bytes"),
        (
            W.section() + W.interface() + W.simple_packet(b"abc", 99),
            "a packet of 99 bytes in a block",
        ),
        (W.section(version=2), "version 2"),
        (W.section().replace(b"\x4d\x3c\x2b\x1a", bytes(4)), "unknown byte order"),
    ],
)
def test_damage_is_named(content: bytes, says: str) -> None:
    if not says:
        assert _read(content) == []
        return
    with pytest.raises(CaptureError, match=says):
        _read(content)


@given(st.data())
def test_nothing_else_is_raised(data: st.DataObject) -> None:
    content = bytearray(WHOLE + W.interface(resolution=9, offset=1) + W.packet(b"e", interface=1))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    try:
        _read(bytes(content[: data.draw(st.integers(0, len(content)))]))
    except CaptureError:
        pass


def test_interfaces_of_different_link_types(tmp_path: Path) -> None:
    """What mergecap makes of two captures, and libpcap refuses."""
    with Recorder(tmp_path / "raw") as recorder:
        recorder.connection("192.0.2.1:40000", "192.0.2.2:5000").data(True, b"one")
    packets = connection(40001, 5000, in_order([b"two"]))
    (tmp_path / "ethernet").write_bytes(pcap(packets))
    names = [str(tmp_path / name) for name in ("both", "raw", "ethernet")]
    subprocess.run([program("mergecap"), "-F", "pcapng", "-a", "-w", *names], check=True)
    with Capture(tmp_path / "both") as capture:
        assert [chunk.data for chunk in capture.chunks() if chunk.data] == [b"one", b"two"]
        assert capture.skipped == {}


def test_a_link_that_is_not_understood_hides_no_other(tmp_path: Path) -> None:
    packets = connection(40000, 5000, in_order([b"data"]))
    content = W.section() + W.interface(147) + W.interface(ETHERNET, snap_length=99)
    content += W.packet(b"?") + b"".join(W.packet(packet, interface=1) for packet in packets)
    (tmp_path / "a").write_bytes(content)
    with Capture(tmp_path / "a") as capture:
        assert [chunk.data for chunk in capture.chunks() if chunk.data] == [b"data"]
        assert capture.skipped == {"unsupported link type 147": 1}
    (tmp_path / "b").write_bytes(W.section() + W.interface(147) + W.packet(b"?"))
    with Capture(tmp_path / "b") as capture, pytest.raises(CaptureError, match="link type 147"):
        list(capture.chunks())
