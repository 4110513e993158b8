"""A terminal for tests that misbehaves on request. In pytest, use the fixture ``ipc_peer`` instead.

The application under test is a function that asks for the state of a terminal. It must survive
noise, a truncated answer, and a connection reset.

Run ``python examples/scripted_peer.py``; it prints::

    well-behaved: ready
    noise first, then one byte at a time: ready
    cut after 7 bytes: no answer
    reset: no answer
    the application sent something else: data: at byte 0, expected b'status', got b'dance!'
"""

from __future__ import annotations

import vfiipc
from vfiipc.testing import PeerFailure, ScriptedPeer


def state_of(address: str, question: bytes = b"status") -> str:
    with vfiipc.connect(address, prefix=0x004E4659, size_limit=65536) as terminal:
        try:
            return terminal.request(question, timeout=5).data.decode()
        except (vfiipc.ConnectionClosed, ConnectionResetError):
            return "no answer"


def main() -> None:
    with ScriptedPeer(prefix=0x004E4659) as peer:
        peer.expect(b"status").answer(b"ready")
        print("well-behaved:", state_of(peer.address))

        peer.expect(b"status").garbage(b"\xffnoise").answer(b"ready").pieces(1)
        print("noise first, then one byte at a time:", state_of(peer.address))

        peer.expect(b"status").answer(b"ready").cut(at=7)
        print("cut after 7 bytes:", state_of(peer.address))

        peer.expect(b"status").reset()
        print("reset:", state_of(peer.address))

    try:
        with ScriptedPeer(prefix=0x004E4659) as peer:
            peer.expect(b"status").answer(b"ready")
            state_of(peer.address, b"dance!")
    except PeerFailure as failure:
        print("the application sent something else:", str(failure).splitlines()[3].strip())


if __name__ == "__main__":
    main()
