"""The codec in Twisted: a protocol with a method that is called for every message.

Requires Twisted (``pip install twisted``).

Run ``python examples/twisted_protocol.py``; it prints::

    Message(msg_id=1, data=b'HELLO')
    Message(msg_id=2, data=b'TERMINAL')
"""

from __future__ import annotations

from twisted.internet import defer, endpoints, protocol, task

from vfiipc.codec import Framer, Message, encode

PREFIX = 0x004E4659


class Messages(protocol.Protocol):
    """Override ``message_received``, as one does with ``lineReceived``."""

    def connectionMade(self) -> None:
        self._framer = Framer(PREFIX, size_limit=65536)

    def dataReceived(self, data: bytes) -> None:
        self._framer.receive_data(data)
        for message in self._framer.drain():
            self.message_received(message)

    def message_received(self, message: Message) -> None:
        raise NotImplementedError

    def send(self, msg_id: int, data: bytes) -> None:
        self.transport.write(encode(PREFIX, msg_id, data))


class Server(Messages):
    def message_received(self, message: Message) -> None:
        self.send(message.msg_id, message.data.upper())


class Client(Messages):
    def connectionMade(self) -> None:
        super().connectionMade()
        self.done: defer.Deferred[None] = defer.Deferred()
        self.send(1, b"hello")
        self.send(2, b"terminal")

    def message_received(self, message: Message) -> None:
        print(message)
        if message.msg_id == 2:
            self.done.callback(None)


async def main(reactor: object) -> None:
    listening = endpoints.TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port = await listening.listen(protocol.Factory.forProtocol(Server))
    there = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    client = await endpoints.connectProtocol(there, Client())
    await client.done
    client.transport.loseConnection()
    await port.stopListening()


if __name__ == "__main__":
    task.react(lambda reactor: defer.ensureDeferred(main(reactor)))
