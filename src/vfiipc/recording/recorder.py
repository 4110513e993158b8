"""Writes recordings as pcap files for Wireshark, with synthetic IP and TCP headers."""

from __future__ import annotations

import ipaddress
import itertools
import os
import struct
import threading
import time

from .packets import ACK, FIN, RST, SYN

__all__ = ["Recorder", "Track"]

# A pcap file has the byte order of the machine that wrote it, so the formats do not specify one.
_FILE_HEADER = struct.Struct("IHHiIII")
_PACKET_HEADER = struct.Struct("IIII")
_MAGIC_OF_NANOSECONDS = 0xA1B23C4D
_VERSION = (2, 4)
_RAW_IP = 101
_SNAP_LENGTH = 262144
_NANOSECONDS = 1_000_000_000

_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!HHHBB16s16s")
_TCP = struct.Struct("!HHIIBBHHH")
_TCP_NUMBER = 6
_PUSH = 0x08
_WINDOW = 65535
_MAX_DATA = 32768  # bytes of data in a packet
_MODULUS = 1 << 32
_APART = 1_000_003  # distance between the initial sequence numbers of connections
_PORTS = range(49152, 65536)  # for clients without a port


class Recorder:
    """A recording of any number of connections.

    Args:
        path: the file to create, readable only by its owner (mode 0600).

    Raises:
        FileExistsError: the file already exists; it is not overwritten.
        OSError: the file cannot be created.

    Packets are written before the call returns. Use it as a context manager. Thread safe.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._file = open(os.open(path, flags, 0o600), "wb", buffering=0)  # noqa: PTH123, SIM115
        self._write(
            _FILE_HEADER.pack(_MAGIC_OF_NANOSECONDS, *_VERSION, 0, 0, _SNAP_LENGTH, _RAW_IP)
        )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file. Later packets are ignored."""
        with self._lock:
            self._file.close()

    def connection(self, client: str, server: str, seconds: float | None = None) -> Track:
        """Begins a connection.

        Args:
            client: ``address:port`` of the side that connected.
            server: the same for the side that listened. If an address is not of this form, as with
                Unix sockets, the file contains a synthetic loopback address.
            seconds: the time since 1970 at which it began; now if None. Times that a capture cannot
                represent are replaced by the nearest possible one.

        Raises:
            OSError: the file cannot be written. All methods of the track raise this, too.
        """
        return Track(self, client, server, next(self._numbers), seconds)

    def packet(self, packet: bytes, seconds: float | None = None) -> None:
        """Appends a packet, seen ``seconds`` after 1970 or now; does nothing after ``close``."""
        nanoseconds = time.time_ns() if seconds is None else _nanoseconds(seconds)
        header = _PACKET_HEADER.pack(*divmod(nanoseconds, _NANOSECONDS), len(packet), len(packet))
        with self._lock:
            if not self._file.closed:
                self._write(header + packet)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]


class Track:
    """One connection in a recording. Thread safe."""

    def __init__(
        self,
        recorder: Recorder,
        client: str,
        server: str,
        number: int,
        seconds: float | None = None,
    ) -> None:
        self._recorder = recorder
        self._seconds = seconds
        ends = _endpoint(client, _PORTS[number % len(_PORTS)]), _endpoint(server, 1)
        if len(ends[0][0]) != len(ends[1][0]):  # one is synthetic
            ends = (_mapped(ends[0]), _mapped(ends[1]))
        self._ends = ends
        self._lock = threading.Lock()
        # Connections may reuse the same ports, so their sequence numbers must differ.
        first = number * _APART % _MODULUS
        after = first + 1
        self._next = [after, after]  # sequence numbers of the client and of the server
        self._ended = [False, False]
        self._put(True, SYN, first, 0)
        self._put(False, SYN | ACK, first, after)
        self._put(True, ACK, after, after)

    def data(self, from_client: bool, data: bytes, seconds: float | None = None) -> None:
        """Records bytes that one side sent.

        Args:
            from_client: whether the side that connected sent them.
            data: the bytes.
            seconds: the time since 1970; now if None.
        """
        with self._lock:
            self._seconds = seconds
            for start in range(0, len(data), _MAX_DATA):
                piece = data[start : start + _MAX_DATA]
                own = self._side(from_client)
                self._put(from_client, _PUSH | ACK, self._next[own], self._next[1 - own], piece)
                self._next[own] = (self._next[own] + len(piece)) % _MODULUS

    def end(self, from_client: bool) -> None:
        """Records that the client, or the server, has sent its last byte."""
        with self._lock:
            own = self._side(from_client)
            if self._ended[own]:
                return
            self._ended[own] = True
            self._put(from_client, FIN | ACK, self._next[own], self._next[1 - own])
            self._next[own] = (self._next[own] + 1) % _MODULUS
            self._put(not from_client, ACK, self._next[1 - own], self._next[own])

    def cut(self) -> None:
        """Records that the connection broke, unless both sides have ended it."""
        with self._lock:
            if not all(self._ended):
                self._ended = [True, True]
                self._put(True, RST | ACK, self._next[0], self._next[1])

    def _side(self, from_client: bool) -> int:
        return 0 if from_client else 1

    def _put(
        self, from_client: bool, flags: int, sequence: int, acknowledged: int, data: bytes = b""
    ) -> None:
        source, target = self._ends if from_client else self._ends[::-1]
        self._recorder.packet(
            _packet(source, target, (sequence, acknowledged, flags), data), self._seconds
        )


def _nanoseconds(seconds: float) -> int:
    latest = (1 << 32) - 1
    return round(max(0.0, min(seconds, latest)) * _NANOSECONDS) if seconds == seconds else 0


_End = tuple[bytes, int]


def _endpoint(text: str, otherwise: int) -> _End:
    """Address and port; a loopback address and ``otherwise`` if ``text`` has none."""
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
        return address.packed, int(port)
    except ValueError:
        return ipaddress.ip_address("127.0.0.1").packed, otherwise


def _mapped(end: _End) -> _End:
    address, port = end
    if len(address) == 4:
        address = ipaddress.ip_address(f"::ffff:{ipaddress.ip_address(address)}").packed
    return address, port


def _packet(source: _End, target: _End, state: tuple[int, int, int], data: bytes) -> bytes:
    """A packet with valid checksums."""
    sequence, acknowledged, flags = state
    size = _TCP.size + len(data)

    def tcp(checksum: int) -> bytes:
        words = _TCP.size // 4 << 4
        ports = source[1], target[1]
        return _TCP.pack(*ports, sequence, acknowledged, words, flags, _WINDOW, checksum, 0)

    summed = source[0] + target[0] + struct.pack("!HH", _TCP_NUMBER, size) + tcp(0) + data
    return _network(source[0], target[0], size) + tcp(_checksum(summed)) + data


def _network(source: bytes, target: bytes, size: int) -> bytes:
    if len(source) == 16:
        return _IPV6.pack(6 << 12, 0, size, _TCP_NUMBER, 64, source, target)
    fields = [0x45, 0, _IPV4.size + size, 0, 0x4000, 64, _TCP_NUMBER, 0, source, target]
    fields[7] = _checksum(_IPV4.pack(*fields))
    return _IPV4.pack(*fields)


def _checksum(data: bytes) -> int:
    """The Internet checksum: the complement of the ones' complement sum of 16-bit words."""
    words = struct.iter_unpack("!H", data + bytes(len(data) % 2))
    total: int = sum(word for (word,) in words)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
