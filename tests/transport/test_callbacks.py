"""Callbacks at the edges: what they raise, who waits for them, who is kept alive."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from vfiipc import IPC, TCP, loopback_pair

SOON = 5000


def test_a_callback_that_exits_harms_no_other_object(caplog: pytest.LogCaptureFixture) -> None:
    # IPC-C8
    first, second = loopback_pair()
    third, fourth = loopback_pair()
    told = threading.Event()

    def leave(_data: object, _ipc: IPC) -> None:
        raise SystemExit("not the thread's business")

    with first, second, third, fourth:
        assert second.set_callback(leave)
        assert fourth.set_callback(lambda _data, _ipc: told.set())
        first.write(b"x")
        third.write(b"x")
        assert told.wait(5)
    assert "callback" in caplog.text


def test_unregistering_waits_even_after_close() -> None:
    first, second = loopback_pair()
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()

    def slow(_data: object, _ipc: IPC) -> None:
        entered.set()
        leave.wait(5)
        time.sleep(0.02)
        left.set()

    with first, second:
        assert second.set_callback(slow)
        first.write(b"x")
        assert entered.wait(5)
        second.close()
        assert not left.is_set()
        leave.set()
        assert second.set_callback(None)
        assert left.is_set()


def test_a_registered_object_stays_alive() -> None:  # IPC-C7
    first, second = loopback_pair()
    told = threading.Event()
    assert second.set_callback(lambda _data, _ipc: told.set())
    reference = weakref.ref(second)
    del second
    gc.collect()
    with first:
        first.write(b"x")
        assert told.wait(5)
        gc.collect()
        kept = reference()
        assert kept is not None
        kept.close()


def test_a_broken_writer_wakes_the_reader_and_is_told_once() -> None:  # IPC-X7, IPC-C4
    with TCP() as listener, TCP() as client:
        assert listener.listen(0, "127.0.0.1")
        assert client.connect(listener.local_addr(), 0, SOON)
        peer = listener.accept(SOON)
        assert peer is not None
        calls: list[bytes] = []
        with peer:
            results: list[bytes] = []
            reader = threading.Thread(target=lambda: results.append(client.read(1)))
            reader.start()
            assert not client.write(bytes(64 << 20), timeout_msec=50)
            assert client.error()
            reader.join(5)
            assert results == [b""]

            def on_data(_data: object, ipc: IPC) -> None:
                calls.append(ipc.read(100, 0))

            assert client.set_callback(on_data)
            deadline = time.monotonic() + 5
            while not calls and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.05)
            assert calls == [b""]
