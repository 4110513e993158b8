"""The work of ``vfiipc notifysvc``; imported on demand, because importing asyncio is slow."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path
from typing import Any

from ..notify.allow import AllowList, ConfigError, ResultCode
from ..notify.bus import BusError
from ..notify.config import listening_addresses, read_allow_list
from ..notify.nats import NatsBus
from ..notify.service import serve
from ..transport.logs import follow_masks
from .failures import Failure, Malformed, describe
from .streams import one_line, say
from .tasks import run_task
from .tls_contexts import server_context, trusting

__all__ = ["run"]

#: The log mask unless NFY_LOGMASK is set: NOTICE and everything more severe.
_MASK = "63"


def run(parsed: argparse.Namespace) -> int:
    """Runs the server until a signal comes."""
    allow = _allow_list(parsed.config)
    bus = _bus(parsed)
    if "NFY_LOGMASK" not in os.environ:
        follow_masks({"NFY_LOGMASK": _MASK})
    return run_task(lambda: _serve(parsed, allow, bus))


def _allow_list(path: str | None) -> AllowList | None:
    try:
        return read_allow_list(path) if path is not None else None
    except ConfigError as error:
        said = f"{error} ({error.code.name}, {error.code.value})"
        wrong = error.code is ResultCode.NOTIFY_ERR_CONFIG_SYNTAX
        raise Malformed(said) if wrong else Failure(said) from None


def _bus(parsed: argparse.Namespace) -> NatsBus | None:
    """What connects this server with others."""
    if not parsed.bus:
        return None
    credentials: dict[str, Any] = {}
    for name, path in (("user_credentials", parsed.bus_creds), ("nkeys_seed", parsed.bus_nkey)):
        if path is not None:
            if not Path(path).is_file():
                raise Failure(
                    f"cannot use {path}: there is no such file, or it is not a regular file"
                )
            credentials[name] = path
    if parsed.bus_ca or parsed.bus_cert:
        credentials["tls"] = trusting(parsed.bus_ca, parsed.bus_cert, parsed.bus_key)
    try:
        return NatsBus(parsed.bus, **credentials)
    except ValueError as error:
        raise Malformed(str(error)) from None


async def _serve(parsed: argparse.Namespace, allow: AllowList | None, bus: NatsBus | None) -> int:
    try:
        addresses = list(map(str, parsed.listen)) or listening_addresses(allow)
    except OSError as error:
        raise Failure(f"cannot listen: {describe(error)}") from None
    if parsed.pipe is not None:
        addresses.append(str(parsed.pipe))
    encrypted = [address for address in addresses if address.startswith("tls://")]
    ssl = server_context(parsed, encrypted[0]) if encrypted else None
    try:
        service = await serve(*addresses, allow=allow, ssl=ssl, bus=bus, node=parsed.node)
    except (BusError, ImportError) as error:
        raise Failure(str(error)) from None
    except ValueError as error:
        raise Malformed(str(error)) from None
    try:
        for address in service.addresses:
            say(f"listening at {one_line(address.removeprefix('tcp://'))}")
        await service.run()
    finally:
        await service.aclose()
    name = one_line(parsed.node or platform.node())
    raise Failure(
        f"another server on the bus has the name {name}, and started earlier; choose another --node"
    )
