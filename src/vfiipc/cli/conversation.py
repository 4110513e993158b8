"""One connection that is read in a thread while messages are sent."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterable

from .. import IPC
from ..codec import MAX_DATA_SIZE
from ..recording import Item
from . import links
from .failures import Failure, describe, seconds
from .prefix_finder import Framing
from .view import NOWHERE, Printer

__all__ = ["Conversation"]

_PIECE = 65536
_FOR_THREAD = 2.0  # seconds for the thread of a closed connection to end


class Conversation:
    """A connection whose incoming messages are printed as they arrive.

    Args:
        parsed: with the address, prefix, limit, time-out, and the options of TLS.
        printer: prints what arrives. If that fails, the next method that is called raises.
        changed: called in the reading thread when the connection has ended.

    Use it as a context manager. Its methods must be called in one thread.
    """

    def __init__(
        self,
        parsed: argparse.Namespace,
        printer: Printer,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self._parsed = parsed
        self._printer = printer
        self._changed = changed
        self.place = links.shown(parsed.address)
        self.prefix: int = parsed.prefix
        self.said_at_end = ""  #: how the connection ended; empty while it lives
        self.broken = False
        self._news = threading.Condition()
        self._position = 0
        self._last = 0.0  # when something came
        self._failed: Exception | None = None
        self._connect()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> None:
        parsed = self._parsed
        self._link = links.dial(parsed.address, parsed.timeout, parsed)
        self._position = 0
        self._reader = Framing(self.prefix, parsed.limit).reader()
        self.said_at_end, self.broken = "", False
        self._thread = threading.Thread(target=self._listen, args=(self._link,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the connection, if it has not ended."""
        self._link.close()
        self._thread.join(_FOR_THREAD)

    def reconnect(self) -> None:
        """Closes the connection and connects again.

        Raises:
            Failure: there is no connection.
        """
        self.close()
        self._connect()

    def send(self, msg_id: int, data: bytes) -> None:
        """Sends a message.

        Raises:
            Failure: it cannot be sent.
        """
        if len(data) > MAX_DATA_SIZE:
            raise Failure(
                f"{len(data):,} bytes are too many for a message; the limit is {MAX_DATA_SIZE:,}"
            )
        self._check()
        if not self._link.write_msg(self.prefix, msg_id, data, self._parsed.timeout):
            raise self._unsent()

    def send_raw(self, data: bytes) -> None:
        """Sends bytes as they are; errors as for ``send``."""
        self._check()
        if not self._link.write(data, self._parsed.timeout):
            raise self._unsent()

    def set_prefix(self, prefix: int) -> None:
        """The prefix of what is sent and received from now on."""
        with self._news:
            self._show(self._reader.finish())
            self.prefix = prefix
            self._printer.set_prefix(prefix)
            self._reader = Framing(prefix, self._parsed.limit).reader(self._position)

    def wait_until_quiet(self, patience: float) -> None:
        """Waits until nothing has arrived for ``patience`` seconds or the connection has ended."""
        started = time.monotonic()
        with self._news:
            while not self.said_at_end:
                left = max(started, self._last) + patience - time.monotonic()
                if left <= 0 or self._failed is not None:
                    break
                self._news.wait(left)
        self._raise()

    def _check(self) -> None:
        self._raise()
        if self.said_at_end:
            raise Failure(f"cannot send to {self.place}: {self.said_at_end}")

    def _raise(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _unsent(self) -> Failure:
        error = self._link.last_error
        if isinstance(error, TimeoutError):
            within = seconds(self._parsed.timeout)
            return Failure(f"time-out: {self.place} did not take all of it within {within}")
        return Failure(f"cannot send to {self.place}: {describe(error)}")

    # --- in the reading thread

    def _listen(self, link: IPC) -> None:
        try:
            while data := link.read(_PIECE, -1, 0):
                with self._news:
                    self._show(self._reader.feed(data))
                    self._position += len(data)
                    self._last = time.monotonic()
                    self._news.notify_all()
            if not (link.eof() or link.error()):
                return  # closed here
            self._end(link)
        except Exception as error:  # noqa: BLE001  (the next member that is called raises it)
            with self._news:
                self._failed = error
                self._news.notify_all()
        self._changed()

    def _end(self, link: IPC) -> None:
        self.broken = link.error()
        how = f"broke: {describe(link.last_error)}" if self.broken else "closed by the peer"
        with self._news:
            self._show(self._reader.finish())
            self.said_at_end = f"the connection {'' if self.broken else 'was '}{how}"
            self._news.notify_all()
            self._printer.event(NOWHERE, "closed", how, time.time())

    def _show(self, items: Iterable[Item]) -> None:
        for item in items:
            self._printer.item(NOWHERE, item, time.time())
