"""What a TLS object was told about keys, authorities and checks, and what is made of it."""

from __future__ import annotations

import errno
import importlib.util
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .tls_engine import Engine, SSLEngine
from .tls_errors import Check, failed

__all__ = ["Config", "EngineMaker", "check_authorities", "check_key_cert", "require_pyopenssl"]

#: Makes a session: with the server's name for a client, with None for a server.
EngineMaker = Callable[["str | None"], Engine]

_IN_TERMINAL: Final = ("vault:", "sdi:")
# Lifts the checks of both times, and nothing else (X509_V_FLAG_NO_CHECK_TIME of OpenSSL).
_NO_CHECK_TIME: Final = 0x200000
_BOTH_TIMES: Final = Check.IGNORE_EXPIRED | Check.IGNORE_NOT_YET_VALID
# The names by which OpenSSL finds certificates in a directory.
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d+")


@dataclass(frozen=True)
class Config:
    """What the next connection, or listener, is made with.

    Args:
        key_file: the own key, PEM; None without one.
        cert_file: the own certificate and those that lead to an authority, PEM.
        authorities: pairs of file and directory, each may be None.
        default_authorities: whether those of the system count, too.
        client_auth: whether a server demands a certificate of its clients.
        ignored: checks that are not made.
    """

    key_file: str | None = None
    cert_file: str | None = None
    authorities: tuple[tuple[str | None, str | None], ...] = ()
    default_authorities: bool = False
    client_auth: bool = False
    ignored: Check = Check.IGNORE_NONE

    def engines(self, *, server: bool) -> EngineMaker:
        """Reads the files and gives what makes sessions.

        Raises:
            OSError: a file cannot be used, it names which; or a check cannot be lifted.
        """
        if server and self.key_file is None:
            raise OSError(errno.EINVAL, "a TLS server needs a certificate: call setKeyCert first")
        if self._needs_pyopenssl(server):
            require_pyopenssl(self.ignored)
            from .tls_openssl import engines

            check_key_cert(self.key_file, self.cert_file)
            return engines(self, server)
        context = _context(self, server)
        return lambda host: SSLEngine(context, host)

    def _needs_pyopenssl(self, server: bool) -> bool:
        """Whether the standard library would lift more than it is told to."""
        if server and not self.client_auth:
            return False
        if self.ignored & Check.IGNORE_ALL:
            return server
        return single_checks(self.ignored)


def single_checks(ignored: Check) -> bool:
    """Whether these flags take a look at each fault of a certificate."""
    if ignored & Check.IGNORE_ALL:
        return False
    return bool(ignored & Check.IGNORE_SELF_SIGNED) or (ignored & _BOTH_TIMES) not in (
        Check.IGNORE_NONE,
        _BOTH_TIMES,
    )


def require_pyopenssl(ignored: Check) -> None:
    """Raises an ``OSError`` where pyOpenSSL is not installed."""
    if importlib.util.find_spec("OpenSSL") is None:
        names = "|".join(flag.name or "" for flag in Check if flag and flag in ignored)
        advice = "the standard library would lift other checks, too: pip install 'vfiipc[tls]'"
        raise OSError(errno.ENOPROTOOPT, f"{names} needs pyOpenSSL, for {advice}")


def _context(config: Config, server: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # Python has OpenSSL take a cut stream for one that has ended.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    if server:
        # Tickets that a client never reads would make its close break the connection.
        context.num_tickets = 0
        context.verify_mode = ssl.CERT_REQUIRED if config.client_auth else ssl.CERT_NONE
    else:
        context.check_hostname = not config.ignored & (Check.IGNORE_HOSTNAME | Check.IGNORE_ALL)
        if ssl.HAS_NEVER_CHECK_COMMON_NAME:
            context.hostname_checks_common_name = False
        if config.ignored & Check.IGNORE_ALL:
            context.verify_mode = ssl.CERT_NONE
    if config.ignored & _BOTH_TIMES == _BOTH_TIMES:
        context.verify_flags |= _NO_CHECK_TIME
    if config.key_file is not None and config.cert_file is not None:
        _load_key_cert(context, config.key_file, config.cert_file)
    for file, directory in config.authorities:
        _load_authorities(context, file, directory)
    if config.default_authorities:
        context.set_default_verify_paths()
    return context


def check_key_cert(key_file: str | None, cert_file: str | None) -> None:
    """Raises an ``OSError`` that names the file which cannot be used."""
    if key_file is not None and cert_file is not None:
        _load_key_cert(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), key_file, cert_file)


def check_authorities(file: str | None, directory: str | None) -> None:
    """Raises an ``OSError`` that names the file or directory which cannot be used."""
    _load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), file, directory)


def _load_key_cert(context: ssl.SSLContext, key_file: str, cert_file: str) -> None:
    for file in (key_file, cert_file):
        for scheme in _IN_TERMINAL:
            if file.startswith(scheme):
                reach = f"keys that live in a terminal ({scheme}) are out of reach here"
                raise OSError(errno.ENOTSUP, f"{reach}: name a PEM file", file)
        _check_readable(file)

    def no_password() -> str:
        raise OSError(errno.EACCES, "the key is encrypted: one without a password is needed")

    try:
        context.load_cert_chain(cert_file, key_file, no_password)
    except ssl.SSLError as cause:
        raise _file_fault(cause, key_file, cert_file) from None
    except OSError as cause:
        raise OSError(cause.errno, cause.strerror, key_file) from None


def _file_fault(cause: ssl.SSLError, key_file: str, cert_file: str) -> ssl.SSLError:
    reason = cause.reason or "PEM_LIB"
    if reason == "KEY_VALUES_MISMATCH":
        return failed(reason, f"the key in {key_file!r} is not that of {cert_file!r}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cert_file)
    except ssl.SSLError:
        return failed(reason, f"{cert_file!r} holds no certificate in PEM")
    return failed(reason, f"{key_file!r} holds no private key in PEM, or one that is too weak")


def _load_authorities(context: ssl.SSLContext, file: str | None, directory: str | None) -> None:
    if file is not None:
        _check_readable(file)
        try:
            context.load_verify_locations(file)
        except ssl.SSLError as cause:
            text = f"{file!r} holds no certificate in PEM"
            raise failed(cause.reason or "PEM_LIB", text) from None
    if directory is not None:
        if not any(_HASHED.fullmatch(entry.name) for entry in Path(directory).iterdir()):
            text = "no certificate under the hash of its name: run `openssl rehash` on it"
            raise OSError(errno.ENOENT, text, directory)
        context.load_verify_locations(None, directory)


def _check_readable(file: str) -> None:
    with Path(file).open("rb") as opened:
        opened.read(1)
