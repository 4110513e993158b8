"""The codec over a serial line, with pyserial; a pseudo-terminal replaces the cable.

A serial line loses bytes and adds noise. The framer discards bytes that are not part of a message,
and continues with the next message. The protocol has no checksum, so a changed byte inside the data
goes unnoticed. Requires Linux and pyserial (``pip install pyserial``). On a real line, the two
devices have names such as ``/dev/ttyUSB0``.

Run ``python examples/serial_line.py``; it prints::

    Message(msg_id=1, data=b'HELLO')
    Message(msg_id=2, data=b'TERMINAL')
    discarded: 14 bytes
"""

from __future__ import annotations

import os
import threading
import tty

import serial

from vfiipc.codec import Framer, Message, encode

PREFIX = 0x004E4659


class SerialMessages:
    """Messages over a serial port, read with the time-out of the port."""

    def __init__(self, port: serial.SerialBase) -> None:
        self.port, self.framer = port, Framer(PREFIX, size_limit=4096)

    def send(self, msg_id: int, data: bytes) -> None:
        self.port.write(encode(PREFIX, msg_id, data))

    def receive(self) -> Message | None:
        """Returns the next message, or None if the time-out expires before it is complete."""
        while (message := self.framer.next_message()) is None:
            chunk = self.port.read(self.framer.bytes_wanted())  # never more than this message
            if not chunk:
                return None
            self.framer.receive_data(chunk)
        return message


def terminal(master: int) -> None:
    """The other end: answers in capitals, and sends noise before each answer."""
    framer = Framer(PREFIX, size_limit=4096)
    for _ in range(2):
        while (message := framer.next_message()) is None:
            framer.receive_data(os.read(master, 4096))
        os.write(master, b"\xff\x00noise" + encode(PREFIX, message.msg_id, message.data.upper()))


def main() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    threading.Thread(target=terminal, args=(master,), daemon=True).start()
    with serial.Serial(os.ttyname(slave), baudrate=115200, timeout=5) as port:
        line = SerialMessages(port)
        for msg_id, data in enumerate([b"hello", b"terminal"], start=1):
            line.send(msg_id, data)
            print(line.receive())
        print(f"discarded: {line.framer.discarded} bytes")
    os.close(slave)


if __name__ == "__main__":
    main()
