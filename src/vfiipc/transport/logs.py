"""Logging with Python's ``logging``; ``IPC_LOGMASK`` works as the original documents it.

A connection checks once, when it begins, whether its logger has a handler. Without one, it keeps no
log, and a message costs one comparison. Rules: ``spec/ipc.md``, 2.8.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Final

from ..codec import Buffer, Message

__all__ = ["CHANNELS", "NOTICE", "ConnectionLog", "connection_log", "follow_masks", "shown"]

#: Environment variable, logger and name in the output of each channel.
CHANNELS: Final = {
    "IPC_LOGMASK": ("vfiipc", "IPC"),
    "IPCTLS_LOGMASK": ("vfiipc.tls", "IPCTLS"),
    "NFY_LOGMASK": ("vfiipc.notify", "NFY"),
}
#: A logger that has a channel's mask, but a name of its own in the output.
_NOTIFY_CLIENT: Final = ("vfiipc.notify.client", "NFYCL")
#: Set to something other than 0: payloads are logged, which can be card data (IPC-L5).
_PAYLOADS: Final = "VFIIPC_LOG_PAYLOADS"
_SHOWN: Final = 1024

# Bits of a mask, and the lowest level that each covers; EMERG, ALERT and CRIT are one level here.
#: The level of NOTICE, which Python does not have.
NOTICE: Final = 25
_BITS: Final = (
    (0x07, logging.CRITICAL),
    (0x08, logging.ERROR),
    (0x10, logging.WARNING),
    (0x20, NOTICE),
    (0x40, logging.INFO),
    (0x80, logging.DEBUG),
)
_HIGHEST_MASK: Final = 255

_numbers = count(1)

# Looked up once: `getLogger` takes a lock of `logging`, which an exception raised by a signal
# handler can leave acquired.
_LOGGERS: Final = {name: logging.getLogger(name) for name, _ in CHANNELS.values()}


def shown(value: object) -> str:
    r"""Escapes text from outside for the log: one line, no terminal control (IPC-L6, CON-L2).

    Control characters, line separators and what cannot be encoded become escapes: ``\n``, ``\x1b``.
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


class ConnectionLog:
    """Writes what happens on one connection. Thread safe.

    Args:
        logger: where records go.
        name: the connection's class and number.
    """

    __slots__ = ("_logger", "_name", "_next", "_payloads", "messages")

    def __init__(self, logger: logging.Logger, name: str) -> None:
        self._logger = logger
        self._name = name
        self._next = -1  # the position at which the current search continues
        #: Whether each message is logged.
        self.messages = logger.isEnabledFor(logging.DEBUG)
        self._payloads = self.messages and os.environ.get(_PAYLOADS, "0") not in ("", "0")

    def event(self, text: str) -> None:
        """A step in the life of the connection."""
        self._logger.info("%s %s", self._name, shown(text))

    def broken(self, cause: BaseException) -> None:
        """The connection cannot be used any more (IPC-L4)."""
        self._logger.error("%s broken: %s", self._name, _reason(cause))

    def failed(self, cause: BaseException) -> None:
        """Something failed that does not break the connection."""
        self._logger.warning("%s failed: %s", self._name, _reason(cause))

    def discarded(self, position: int, found: bytes, size: int) -> None:
        """The receiver discards bytes; logged once, where the search begins (IPC-L4)."""
        if position != self._next:
            lost = "%s lost synchronisation at byte %d: found %s, which is not a header"
            self._logger.warning(lost, self._name, position, found.hex(" "))
        self._next = position + size

    def message(self, what: str, msg_id: int, data: Buffer) -> None:
        """A message that was received or sent."""
        with memoryview(data) as view:
            size = view.nbytes
            shown = view.tobytes()[:_SHOWN].hex(" ") if self._payloads else ""
        if self._payloads:
            more = f" and {size - _SHOWN} bytes more" if size > _SHOWN else ""
            shown = f": {shown}{more}"
        self._logger.debug("%s %s message %s, %d bytes%s", self._name, what, msg_id, size, shown)

    def received(self, messages: Iterable[Message]) -> None:
        """Messages that were received."""
        for msg_id, data in messages:
            self.message("received", msg_id, data)

    def sending(self, messages: Iterable[tuple[int, Buffer]]) -> Iterator[tuple[int, Buffer]]:
        """Logs each message, and passes it on."""
        for pair in messages:
            try:
                msg_id, data = pair
                self.message("sends", msg_id, data)
            except (TypeError, ValueError):
                pass  # the sender raises for it
            yield pair


def _reason(cause: BaseException) -> str:
    text = shown(cause)
    return f"{type(cause).__name__}: {text}" if text else type(cause).__name__


def connection_log(logger_name: str, kind: str, *, open_: bool) -> ConnectionLog | None:
    """The log of a new connection; None if no handler would receive it.

    Args:
        logger_name: the logger of a channel.
        kind: the name of its class.
        open_: whether it is connected, and gets an ID.
    """
    logger = _LOGGERS[logger_name]
    # Without a handler, `logging` would still print warnings, where silence is documented (IPC-L2).
    if not logger.hasHandlers() or not logger.isEnabledFor(logging.ERROR):
        return None
    return ConnectionLog(logger, f"{kind} {next(_numbers)}" if open_ else kind)  # IPC-L3


class _Form(logging.Formatter):
    """``<seconds>.<milliseconds>`` since the start, the channel, the text."""

    def __init__(self, channel: str) -> None:
        super().__init__()
        self._channel = channel

    def formatMessage(self, record: logging.LogRecord) -> str:
        logger, name = _NOTIFY_CLIENT
        channel = name if record.name == logger else self._channel
        return f"{record.relativeCreated / 1000:.3f} {channel} {record.message}"


def _selected(mask: int, logger_name: str, record: logging.LogRecord) -> bool:
    """Whether the mask of a channel selects this record."""
    # One channel's logger is above the others', and gets their records, too.
    names = (name for name, _ in CHANNELS.values() if record.name.startswith(name))
    if max(names, key=len, default="") != logger_name:
        return False
    return bool(mask & next((bits for bits, level in _BITS if record.levelno >= level), 0))


def _mask(variable: str, text: str) -> int:
    try:
        mask = int(text or "0", 0)
    except ValueError:
        mask = -1
    if 0 <= mask <= _HIGHEST_MASK:
        return mask
    allowed = f"0..{_HIGHEST_MASK} is allowed, and nothing is logged"
    warnings.warn(f"{variable} is {text!r}: {allowed}", RuntimeWarning, stacklevel=3)
    return 0


def follow_masks(environment: Mapping[str, str]) -> list[logging.Handler]:
    """Sends the channels that the environment selects to standard error (IPC-L1).

    Args:
        environment: where ``IPC_LOGMASK``, ``IPCTLS_LOGMASK`` and ``NFY_LOGMASK`` are looked up.
            Bits: 1 EMERG, 2 ALERT, 4 CRIT, 8 ERR, 16 WARNING, 32 NOTICE, 64 INFO, 128 DEBUG; 0 is
            silent.

    Returns:
        The handlers that were added, so that they can be removed.
    """
    handlers: list[logging.Handler] = []
    for variable, (name, channel) in CHANNELS.items():
        mask = _mask(variable, environment.get(variable, ""))
        if not mask:
            continue
        handler = logging.StreamHandler()
        handler.setFormatter(_Form(channel))
        handler.addFilter(partial(_selected, mask, name))
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(min(level for bits, level in _BITS if mask & bits))
        handlers.append(handler)
    return handlers


follow_masks(os.environ)
