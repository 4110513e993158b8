"""TLS for commands that use asyncio, from the options of ``links.add_tls``."""

from __future__ import annotations

import argparse
import ssl

from ..transport.tls.config import load_authorities, load_key_cert
from .failures import Failure, describe

__all__ = ["client_context", "server_context", "trusting"]


def server_context(parsed: argparse.Namespace, address: object) -> ssl.SSLContext:
    """The context for listening at ``tls://`` addresses.

    Raises:
        Failure: a file is missing, or cannot be used.
    """
    if not parsed.cert:
        raise Failure(f"listening on {address} needs a certificate: --cert, and --key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, parsed.ca, parsed.cert, parsed.key)
    if parsed.client_auth:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(parsed: argparse.Namespace) -> ssl.SSLContext:
    """The context for connecting to ``tls://`` addresses.

    Raises:
        Failure: a file cannot be used.
    """
    return trusting(parsed.ca, parsed.cert, parsed.key)


def trusting(ca: str | None, cert: str | None, key: str | None) -> ssl.SSLContext:
    """The context of a client.

    Args:
        ca: the file with the authorities to trust; None for those of the system.
        cert: the file with the client's own certificate, and its chain.
        key: the file with its private key; None if ``cert`` contains it.

    Raises:
        Failure: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not ca:
        context.load_default_certs()
    _load(context, ca, cert, key)
    return context


def _load(context: ssl.SSLContext, ca: str | None, cert: str | None, key: str | None) -> None:
    files = [path for path in (cert, key) if path]
    try:
        if cert:
            load_key_cert(key or cert, cert, context)
        if ca:
            files = [ca]
            load_authorities(ca, None, context)
    except OSError as error:  # ssl.SSLError is one
        raise Failure(f"cannot use {' and '.join(files)}: {describe(error)}") from None
