"""The notification service: applications register for notification IDs, and send each other JSON.

Rules: ``spec/notify.md``.
"""

from __future__ import annotations

from .allow import AllowList, ConfigError, ResultCode, parse_allow_list
from .messages import ALL, ANY, MAX_PAYLOAD, PORT, PREFIX

__all__ = [
    "ALL",
    "ANY",
    "MAX_PAYLOAD",
    "PORT",
    "PREFIX",
    "AllowList",
    "ConfigError",
    "ResultCode",
    "parse_allow_list",
]
