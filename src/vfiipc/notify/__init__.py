"""The notification service: applications register for notification IDs, and send each other JSON.

Rules: ``spec/notify.md``.
"""

from __future__ import annotations

from .allow import AllowList, ConfigError, ResultCode, parse_allow_list
from .bus import Bus, BusError
from .client import Client
from .config import read_allow_list
from .connect import connect
from .messages import ALL, ANY, MAX_PAYLOAD, PORT, PREFIX, Observation
from .nats import NatsBus
from .notification import Notification, Undeliverable
from .service import Service, serve

__all__ = [
    "ALL",
    "ANY",
    "MAX_PAYLOAD",
    "PORT",
    "PREFIX",
    "AllowList",
    "Bus",
    "BusError",
    "Client",
    "ConfigError",
    "NatsBus",
    "Notification",
    "Observation",
    "ResultCode",
    "Service",
    "Undeliverable",
    "connect",
    "parse_allow_list",
    "read_allow_list",
    "serve",
]
