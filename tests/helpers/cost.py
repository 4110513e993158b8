"""What something costs: time as far as a busy machine lets that be known, and memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable


def quickest(run: Callable[[], object]) -> float:
    """The processor time of the best of three runs, in seconds."""
    times = []
    for _ in range(3):
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return min(times)


def peak_of(run: Callable[[], object]) -> int:
    """The most bytes that Python holds for it at a time."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
