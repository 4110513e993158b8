"""One end of a connection in a network namespace of its own; see ``test_network.py``.

    network_peer.py serve             echoes on each connection; on a line on its standard input,
                                      sends one message on each of them
    network_peer.py wait HOST ALIVE   connects and reads, until a message or an error comes
    network_peer.py talk HOST ALIVE   the same, but sends one message after another meanwhile
    network_peer.py push HOST         with keepalives, writes more than the link takes
    network_peer.py exchange HOST     sends messages and reads them back

ALIVE is 1 to have keepalives, 0 to have none. Each line of output is a JSON object.
"""

from __future__ import annotations

import json
import sys
import threading
import time

from vfiipc import TCP, Message

PREFIX = 0x56464950
LIMIT = 1 << 20
PORT = 5000
SIZES = [0, 1, 35, 36, 37, 100, 1000, 12_000]


def tell(**facts: object) -> None:
    print(json.dumps({"at": time.monotonic(), **facts}), flush=True)


def outcome(ipc: TCP) -> dict[str, object]:
    cause = ipc.last_error
    return {
        "error": ipc.error(),
        "eof": ipc.eof(),
        "cause": type(cause).__name__,
        "oserror": isinstance(cause, OSError),
        "errno": getattr(cause, "errno", None),
    }


def serve() -> None:
    held: list[TCP] = []
    with TCP() as server:
        assert server.listen(PORT), server.last_error
        threading.Thread(target=accept_all, args=(server, held), daemon=True).start()
        tell(listening=server.local_addr())
        for _ in sys.stdin:
            for ipc in list(held):
                ipc.write_msg(PREFIX, 1, b"the link is back", timeout_msec=1000)
    for ipc in held:
        ipc.close()


def accept_all(server: TCP, held: list[TCP]) -> None:
    while (ipc := server.accept()) is not None:
        held.append(ipc)
        threading.Thread(target=echo, args=(ipc,), daemon=True).start()


def echo(ipc: TCP) -> None:
    while (message := ipc.read_msg(PREFIX, LIMIT)) is not None:
        if not ipc.write_msg(PREFIX, *message):
            break


def connected(host: str) -> TCP:
    ipc = TCP()
    assert ipc.connect(host, PORT, 10_000), ipc.last_error
    return ipc


def wait(host: str, alive: bool, talking: bool) -> None:
    with connected(host) as ipc:
        if alive:
            assert ipc.setKeepalive(3, 1), ipc.last_error
        assert ipc.write_msg(PREFIX, 0, b"hello")
        assert ipc.read_msg(PREFIX, LIMIT, 10_000) == (0, b"hello")
        tell(connected=ipc.remote_addr())
        talker = threading.Thread(target=talk, args=(ipc,))
        if talking:
            talker.start()
        message = ipc.read_msg(PREFIX, LIMIT)
        while talking and message is not None:
            message = ipc.read_msg(PREFIX, LIMIT)
        first, late = outcome(ipc), ipc.read_msg(PREFIX, LIMIT, 0)
        if talking:
            talker.join()
        tell(
            data=message and message.data.decode(),
            latched=late is None and outcome(ipc) == first,
            writes=ipc.write(b"x"),
            **first,
        )


def talk(ipc: TCP) -> None:
    while ipc.write_msg(PREFIX, 7, bytes(100)):
        time.sleep(0.02)


def push(host: str) -> None:
    with connected(host) as ipc:
        assert ipc.setKeepalive(3, 1), ipc.last_error
        tell(connected=ipc.remote_addr())
        while ipc.write_msg(PREFIX, 7, bytes(LIMIT)):
            pass
        tell(**outcome(ipc))


def exchange(host: str) -> None:
    """Reads in short calls, so that messages are cut off by time-outs as often as it gets."""
    with connected(host) as ipc:
        ipc.strict = True
        tell(connected=ipc.local_addr())
        start, timeouts = time.monotonic(), 0
        sent = [(number, bytes(i % 251 for i in range(size))) for number, size in enumerate(SIZES)]
        assert ipc.write_msgs(PREFIX, sent, timeout_msec=20_000), ipc.last_error
        received: list[Message] = []
        while len(received) < len(sent) and not ipc.error() and not ipc.eof():
            message = ipc.read_msg(PREFIX, LIMIT, 2)
            if message is None:
                timeouts += 1
            else:
                received.append(message)
        seconds = time.monotonic() - start
        tell(same=received == sent, timeouts=timeouts, seconds=seconds, **outcome(ipc))
        sys.stdin.readline()  # the connection stays to be looked at


def main() -> None:
    task, *arguments = sys.argv[1:]
    if task == "serve":
        serve()
    elif task == "exchange":
        exchange(arguments[0])
    elif task == "push":
        push(arguments[0])
    else:
        wait(arguments[0], arguments[1] == "1", task == "talk")


if __name__ == "__main__":
    main()
