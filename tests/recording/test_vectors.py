"""Captures of the vectors, read by ours; recordings by ours, read by the dissector."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tests.spec.travels import FIRST_CLIENT, FIRST_SERVER, STREAMS, WAYS, capture_of_all
from tests.spec.tshark import dissect
from vfiipc.codec import encode
from vfiipc.recording import Capture, Recorder


def test_every_vector_is_reassembled_however_it_travelled(tmp_path: Path) -> None:
    path = tmp_path / "vectors.pcap"
    path.write_bytes(capture_of_all())
    found: dict[tuple[str, str], bytes] = defaultdict(bytes)
    with Capture(path) as capture:
        for chunk in capture.chunks():
            assert chunk.gap == 0
            assert chunk.from_client or not chunk.data
            found[chunk.connection.client, chunk.connection.server] += chunk.data
    for client, _ in enumerate(WAYS, FIRST_CLIENT):
        for server, stream in enumerate(STREAMS, FIRST_SERVER):
            ends = (f"192.0.2.1:{client}", f"192.0.2.2:{server}")
            assert found[ends] == stream.data, stream.name


def test_the_dissector_finds_the_messages_of_a_recording(tmp_path: Path) -> None:
    prefix = 0x004E4659
    path = tmp_path / "recording.pcap"
    with Recorder(path) as recorder:
        track = recorder.connection("192.0.2.1:40000", "192.0.2.2:5000")
        for byte in encode(prefix, 1, b"question"):
            track.data(True, bytes([byte]))
        track.data(False, encode(prefix, 1, bytes(100_000)))
        track.end(True)
        track.end(False)
    shown = dissect(path, "-o", "vfiipc.ports:5000=0x004e4659")
    (question,), (answer,) = shown[40000, 5000], shown[5000, 40000]
    assert question.fields["data"] == b"question"
    assert answer.fields["data"] == bytes(100_000)
