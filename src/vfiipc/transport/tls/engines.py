"""Which engine a configuration needs."""

from __future__ import annotations

import errno

from . import ssl_engine
from .config import Config, check_key_cert, require_pyopenssl, single_checks
from .engine import EngineMaker
from .errors import Check

__all__ = ["engines"]


def engines(config: Config, *, server: bool) -> EngineMaker:
    """Reads the files and returns what makes sessions.

    Raises:
        OSError: a file cannot be used, and the text names it; or a check cannot be lifted.
    """
    if server and config.key_file is None:
        raise OSError(errno.EINVAL, "a TLS server needs a certificate: call setKeyCert first")
    if not _needs_pyopenssl(config, server):
        return ssl_engine.engines(config, server)
    require_pyopenssl(config.ignored)
    from . import openssl_engine  # an extra, and slow to import

    check_key_cert(config.key_file, config.cert_file)
    return openssl_engine.engines(config, server)


def _needs_pyopenssl(config: Config, server: bool) -> bool:
    """Whether the standard library would lift more than it was told to."""
    if server and not config.client_auth:
        return False
    if config.ignored & Check.IGNORE_ALL:
        return server
    return single_checks(config.ignored)
