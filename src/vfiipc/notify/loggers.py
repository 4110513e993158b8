"""The loggers of the service, silent unless a handler is installed (NFY-L1)."""

from __future__ import annotations

import logging
from typing import Final

__all__ = ["client_logger", "server_logger"]

server_logger: Final = logging.getLogger("vfiipc.notify")
client_logger: Final = logging.getLogger("vfiipc.notify.client")

# Without a handler, `logging` would print warnings to standard error.
server_logger.addHandler(logging.NullHandler())
