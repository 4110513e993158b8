"""The work of ``vfiipc notifysvc``; imported on demand, because importing asyncio is slow."""

from __future__ import annotations

import argparse
import asyncio
import os

from ..notify.allow import AllowList, ConfigError, ResultCode
from ..notify.config import listening_addresses, read_allow_list
from ..notify.service import serve
from ..transport.logs import follow_masks
from .failures import Failure, Malformed, describe
from .streams import one_line, say
from .tasks import run_task
from .tls_contexts import server_context

__all__ = ["run"]

#: The log mask unless NFY_LOGMASK is set: NOTICE and everything more severe.
_MASK = "63"


def run(parsed: argparse.Namespace) -> int:
    """Runs the server until a signal comes."""
    allow = _allow_list(parsed.config)
    if "NFY_LOGMASK" not in os.environ:
        follow_masks({"NFY_LOGMASK": _MASK})
    return run_task(_serve(parsed, allow))


def _allow_list(path: str | None) -> AllowList | None:
    try:
        return read_allow_list(path) if path is not None else None
    except ConfigError as error:
        said = f"{error} ({error.code.name}, {error.code.value})"
        wrong = error.code is ResultCode.NOTIFY_ERR_CONFIG_SYNTAX
        raise Malformed(said) if wrong else Failure(said) from None


async def _serve(parsed: argparse.Namespace, allow: AllowList | None) -> int:
    try:
        addresses = list(map(str, parsed.listen)) or listening_addresses(allow)
    except OSError as error:
        raise Failure(f"cannot listen: {describe(error)}") from None
    if parsed.pipe is not None:
        addresses.append(str(parsed.pipe))
    encrypted = [address for address in addresses if address.startswith("tls://")]
    ssl = server_context(parsed, encrypted[0]) if encrypted else None
    async with serve(*addresses, allow=allow, ssl=ssl) as service:
        for address in service.addresses:
            say(f"listening at {one_line(address.removeprefix('tcp://'))}")
        await asyncio.Event().wait()  # until a signal cancels it
    return 0
