"""Requests and answers with ``TCP``, as in the guide of the C++ library, with reconnection.

The client writes a request and waits two seconds for the answer. If that fails, it checks ``eof()``
and ``error()``, closes, and connects again with the same object. The server has a thread for each
connection, which answers each message with the same ID; ``close()`` of the listening object ends
``accept``. This server closes after every second answer, like a terminal that restarts.

Run ``python examples/request_answer.py``; it prints::

    1 b'REQUEST 1'
    2 b'REQUEST 2'
    connection lost: connecting again
    3 b'REQUEST 3'
"""

from __future__ import annotations

import threading

from vfiipc import IPC, TCP, Message

PREFIX = 0x004E4659
LIMIT = 65536


def serve(listener: TCP) -> None:
    while connection := listener.accept():
        threading.Thread(target=answer, args=(connection,)).start()


def answer(connection: IPC) -> None:
    answered = 0
    while answered < 2 and not (connection.eof() or connection.error()):
        request = connection.read_msg(PREFIX, LIMIT, 2000)
        if request is not None:
            connection.write_msg(PREFIX, request.msg_id, request.data.upper())
            answered += 1
    connection.close()


def ask(client: TCP, address: str, msg_id: int) -> Message:
    """Sends a request, if necessary again over a new connection, until it is answered."""
    while True:
        if client.getFD() < 0 and not client.connect(address, 0, 2000):
            raise SystemExit(f"cannot connect to {address}: {client.last_error}")
        if client.write_msg(PREFIX, msg_id, b"request %d" % msg_id):
            answer = client.read_msg(PREFIX, LIMIT, 2000)
            if answer is not None:
                return answer
        lost = client.eof() or client.error()
        print("connection lost" if lost else "no answer", "connecting again", sep=": ")
        client.close()


if __name__ == "__main__":
    with TCP() as listener, TCP() as client:
        listener.listen(0, "127.0.0.1")
        threading.Thread(target=serve, args=(listener,)).start()
        for msg_id in range(1, 4):
            message = ask(client, listener.local_addr(), msg_id)
            print(message.msg_id, message.data)
