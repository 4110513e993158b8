"""Many short connections, used and closed at random by several threads; nothing may be left over.

The seed is printed, and shown when it fails; ``VFIIPC_SOAK_SEED`` repeats a run, as far as threads
allow.
"""

from __future__ import annotations

import gc
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from vfiipc import IPC, TCP, TLS, Message, Pipe, loopback_pair

from .certificates import Certificates, tls_pair

PREFIX = 0x534F414B
LIMIT = 1 << 18
SECONDS = 2.0
WORKERS = 3
LONG = 20.0  # seconds until a thread counts as stuck

Pair = Callable[[], tuple[IPC, IPC]]
DESCRIPTORS = Path("/proc/self/fd")

pytestmark = pytest.mark.skipif(not DESCRIPTORS.exists(), reason="counts descriptors in /proc")


@contextmanager
def tcp_pairs() -> Iterator[Pair]:
    """Pairs over one listener; turns make sure that each accept gets its own connection."""
    turn = threading.Lock()
    with TCP() as server:
        assert server.listen(0, "127.0.0.1"), server.last_error

        def connect() -> tuple[IPC, IPC]:
            client = TCP()
            with turn:
                assert client.connect(server.local_addr(), 0, LONG * 1000), client.last_error
                accepted = server.accept(LONG * 1000)
            assert accepted is not None, server.last_error
            return client, accepted

        yield connect


@contextmanager
def pipe_pairs() -> Iterator[Pair]:
    """As ``tcp_pairs``, under a name that no other run can have."""
    turn = threading.Lock()
    with Pipe() as server, tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "soak"
        assert server.listen(path), server.last_error

        def connect() -> tuple[IPC, IPC]:
            client = Pipe()
            with turn:
                assert client.connect(path, LONG * 1000), client.last_error
                accepted = server.accept(LONG * 1000)
            assert accepted is not None, server.last_error
            return client, accepted

        yield connect
        server.close()
        assert not path.exists()


@contextmanager
def tls_pairs() -> Iterator[Pair]:
    """As ``tcp_pairs``; each conversation begins with the rest of its handshake."""
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates(Path(folder))
        assert certificates.ca.exists()
        assert len(certificates.good) == 2
        yield lambda: tls_pair(certificates)


@contextmanager
def loopback_pairs() -> Iterator[Pair]:
    yield loopback_pair


def payload(number: int, size: int) -> bytes:
    return bytes([number % 256]) * size


class Conversation:
    """One connection: both ends write and read at random until someone closes it."""

    def __init__(self, ends: tuple[IPC, IPC], seed: str) -> None:
        self.ends = ends
        self.seed = seed
        self.problems: list[str] = []

    def run(self) -> None:
        choice = random.Random(f"{self.seed} closing")
        jobs: list[tuple[Callable[..., None], int]]
        jobs = [(job, end) for job in (self.write, self.read) for end in (0, 1)]
        threads = [threading.Thread(target=self.guarded, args=job, daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        time.sleep(choice.random() * 0.02)
        for ipc in choice.sample(self.ends, 2):
            ipc.close()
            time.sleep(choice.random() * 0.002)
        for thread in threads:
            thread.join(LONG)
            if thread.is_alive():
                self.problems.append(f"{thread} is stuck")
        for ipc in self.ends:
            ipc.close()

    def guarded(self, job: Callable[[int, random.Random], None], end: int) -> None:
        try:
            job(end, random.Random(f"{self.seed} {job.__name__} {end}"))
        except Exception as error:  # noqa: BLE001  (whatever a thread meets has to be reported)
            self.problems.append(f"{job.__name__}: {error!r}")

    def write(self, end: int, choice: random.Random) -> None:
        """Messages with rising IDs, one by one or many at once."""
        ipc, number, going = self.ends[end], 0, True
        while going:
            size = choice.choice([0, 1, 100, 5000, 70_000])
            timeout = choice.choice([-1, -1, 1000])
            if choice.random() < 0.3:
                batch = [(number + i, payload(number + i, size // 10)) for i in range(20)]
                going = ipc.write_msgs(PREFIX, batch, timeout)
                number += len(batch)
            else:
                going = ipc.write_msg(PREFIX, number, payload(number, size), timeout)
                number += 1

    def read(self, end: int, choice: random.Random) -> None:
        """What arrives is whole, in order and complete, whatever else is called in between."""
        ipc, expected = self.ends[end], 0
        while not ipc.eof() and not ipc.error():
            message = self.step(ipc, choice)
            if message is None:
                continue
            if message.msg_id != expected:
                self.problems.append(f"message {message.msg_id} came instead of {expected}")
            if message.data != payload(message.msg_id, len(message.data)):
                self.problems.append(f"message {message.msg_id} is damaged")
            expected = message.msg_id + 1

    def step(self, ipc: IPC, choice: random.Random) -> Message | None:
        """One call, mostly the reading one; a closed object ends the loop by its error."""
        number = choice.randrange(12)
        timeout = choice.choice([-1, 0, 1, 5])
        if number == 0:
            ipc.peek(choice.choice([1, 12, 5000]), timeout)
        elif number == 1:
            ipc.poll_in(timeout)
        elif number == 2:
            ipc.set_callback(choice.choice([None, lambda data, other: None]))
        elif number == 3 and isinstance(ipc, TCP | TLS):
            ipc.setKeepalive(choice.randrange(5), 10)
        elif number == 4:
            assert isinstance(ipc.remote_addr() + ipc.local_addr() + repr(ipc), str)
            ipc.getFD()
        else:
            return ipc.read_msg(PREFIX, LIMIT, timeout)
        return None


def held() -> tuple[int, int]:
    """Open descriptors and threads."""
    gc.collect()
    return len(list(DESCRIPTORS.iterdir())), threading.active_count()


def resident() -> int:
    """Bytes of memory in use."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def converse(pairs: Pair, seed: str, seconds: float) -> tuple[int, list[str]]:
    """Conversations in several threads for a time; how many there were, and what went wrong."""
    end = time.monotonic() + seconds
    done: list[int] = []
    problems: list[str] = []

    def work(worker: int) -> None:
        number = 0
        while time.monotonic() < end and not problems:
            conversation = Conversation(pairs(), f"{seed} {worker} {number}")
            conversation.run()
            problems.extend(conversation.problems)
            number += 1
        done.append(number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    return sum(done), problems


@pytest.mark.parametrize("pairs", [tcp_pairs, tls_pairs, pipe_pairs, loopback_pairs])
@pytest.mark.long
def test_nothing_goes_wrong_and_nothing_is_left(
    pairs: Callable[[], AbstractContextManager[Pair]],
) -> None:
    seed = os.environ.get("VFIIPC_SOAK_SEED") or str(random.randrange(1 << 32))
    print(f"VFIIPC_SOAK_SEED={seed}")
    with pairs() as connect:
        # What stays for good (the callback thread, caches) is there after the first round.
        _, problems = converse(connect, f"{seed} first", SECONDS / 2)
        assert problems == []
        held_before, resident_before = held(), resident()
        count, problems = converse(connect, seed, SECONDS)
        assert problems == []
        assert count >= WORKERS
        descriptors, threads = held()
        assert threads <= held_before[1]
        # A signal or two are kept for the next wait.
        assert descriptors <= held_before[0] + 2
        assert resident() < resident_before + 24 * 1024 * 1024
