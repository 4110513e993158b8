"""A connection over TLS: when it has something to read."""

from __future__ import annotations

from .connection import Connection
from .tls_stream import TLSStream

__all__ = ["tls_connection"]


class _TLSConnection(Connection):
    """A connection whose descriptor is no measure of what there is to read."""

    def worth_a_call(self) -> bool:
        return super().worth_a_call() or self._anything()

    def only_seemed_ready(self) -> bool:
        return not self._anything()

    def look_again_at(self) -> float | None:
        stream = self.stream
        return stream.handshake_ends_at() if isinstance(stream, TLSStream) else None

    def tell(self) -> None:
        """Has a registered callback called if there is something to read."""
        if self.on_ready is not None and self.worth_a_call():
            self.on_ready()

    def _anything(self) -> bool:
        stream = self.stream
        return isinstance(stream, TLSStream) and stream.anything()


def tls_connection(stream: TLSStream) -> Connection:
    """The connection over a stream, which tells its callbacks what the descriptor does not."""
    connection = _TLSConnection(stream)
    stream.on_plaintext = connection.tell
    return connection
