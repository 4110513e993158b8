"""Peak memory of a message that arrives in pieces, in a process of its own.

``python -m benchmarks.memory PAYLOAD PIECE`` prints by how much the process grew at its peak.
"""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

from vfiipc.codec import Framer, encode_header

from .streams import PREFIX

__all__ = ["claim", "peak_in_pieces"]

_ROOT = Path(__file__).resolve().parent.parent


def peak_in_pieces(payload: int, piece: int) -> int:
    """Bytes that a message of ``payload`` bytes costs at the peak, fed in pieces of ``piece``."""
    command = [sys.executable, "-m", "benchmarks.memory", str(payload), str(piece)]
    done = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True)
    return int(done.stdout)


def claim(size: int) -> int:
    """Bytes allocated at the peak when a header has claimed ``size`` bytes and none arrived."""
    header = encode_header(PREFIX, 1, size)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        framer = Framer(PREFIX, size)
        framer.receive_data(header)
        framer.drain()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before


def _resident_peak() -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used if sys.platform == "darwin" else used * 1024
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _feed(payload: int, piece: int) -> None:
    framer = Framer(PREFIX, payload)
    receive, take = framer.receive_data, framer.next_message
    receive(encode_header(PREFIX, 1, payload))
    for _ in range(payload // piece):
        if take() is not None:
            raise AssertionError("the message was given out before it was whole")
        receive(bytes(piece))
    message = take()
    if message is None or len(message.data) != payload:
        raise AssertionError("the message did not come out whole")


def _main() -> None:
    payload, piece = map(int, sys.argv[1:])
    before = _resident_peak()
    _feed(payload, piece)
    print(_resident_peak() - before)


if __name__ == "__main__":
    _main()
