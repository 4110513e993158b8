"""TLS for commands that use asyncio, from the options of ``links.add_tls``."""

from __future__ import annotations

import argparse
import ssl

from .failures import Failure, describe

__all__ = ["client_context", "server_context"]


def server_context(parsed: argparse.Namespace, address: object) -> ssl.SSLContext:
    """The context for listening at ``tls://`` addresses.

    Raises:
        Failure: a file is missing, or cannot be used.
    """
    if not parsed.cert:
        raise Failure(f"listening at {address} needs a certificate: --cert, and --key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, parsed)
    if parsed.client_auth:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(parsed: argparse.Namespace) -> ssl.SSLContext:
    """The context for connecting to ``tls://`` addresses.

    Raises:
        Failure: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not parsed.ca:
        context.load_default_certs()
    _load(context, parsed)
    return context


def _load(context: ssl.SSLContext, parsed: argparse.Namespace) -> None:
    files = [path for path in (parsed.cert, parsed.key) if path]
    try:
        if files:
            context.load_cert_chain(files[0], files[-1])
        if parsed.ca:
            files = [parsed.ca]
            context.load_verify_locations(parsed.ca)
    except OSError as error:  # ssl.SSLError is one
        raise Failure(f"cannot use {' and '.join(files)}: {describe(error)}") from None
