"""The keys, authorities and checks of a TLS object, and the files that hold them."""

from __future__ import annotations

import errno
import importlib.util
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .errors import Check, failed

__all__ = [
    "BOTH_TIMES",
    "Config",
    "load_authorities",
    "load_key_cert",
    "require_pyopenssl",
    "single_checks",
]

_IN_TERMINAL: Final = ("vault:", "sdi:")
#: Disables both checks of the time, which the standard library can do.
BOTH_TIMES: Final = Check.IGNORE_EXPIRED | Check.IGNORE_NOT_YET_VALID
# The names by which OpenSSL finds certificates in a directory.
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.\d+")


@dataclass(frozen=True)
class Config:
    """The configuration of the next connection, or listener.

    Args:
        key_cert: files in PEM: the own key, and the own certificate with those that lead to an
            authority.
        authorities: pairs of file and directory, each may be None.
        default_authorities: whether the system's authorities are trusted, too.
        client_auth: whether a server requires a certificate of its clients.
        ignored: disabled checks.
    """

    key_cert: tuple[str, str] | None = None
    authorities: tuple[tuple[str | None, str | None], ...] = ()
    default_authorities: bool = False
    client_auth: bool = False
    ignored: Check = Check.IGNORE_NONE


def single_checks(ignored: Check) -> bool:
    """Whether these flags need a decision about each fault of a certificate."""
    if ignored & Check.IGNORE_ALL:
        return False
    one_time = ignored & BOTH_TIMES not in (Check.IGNORE_NONE, BOTH_TIMES)
    return one_time or bool(ignored & Check.IGNORE_SELF_SIGNED)


def require_pyopenssl(ignored: Check) -> None:
    """Raises an ``OSError`` if pyOpenSSL is not installed (IPC-S3)."""
    if importlib.util.find_spec("OpenSSL") is None:
        names = "|".join(flag.name or "" for flag in Check if flag and flag in ignored)
        reason = "for the standard library would lift other checks, too"
        advice = "in a clone of vfiipc: pip install '.[tls]'"
        raise OSError(errno.ENOPROTOOPT, f"{names} needs pyOpenSSL, {reason}; {advice}")


def load_key_cert(key_file: str, cert_file: str, context: ssl.SSLContext | None = None) -> None:
    """Loads key and certificate, or without a context only checks them.

    Raises:
        OSError: a file cannot be used; the text names it.
    """
    for file in (key_file, cert_file):
        for scheme in _IN_TERMINAL:
            if file.startswith(scheme):
                text = f"keys inside a terminal ({scheme}) are out of reach here: name a PEM file"
                raise OSError(errno.ENOTSUP, text, file)
        _check_readable(file)

    def no_password() -> str:
        raise OSError(errno.EACCES, "the key is encrypted; use a key without a password")

    context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
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
        return failed(reason, f"{cert_file!r} contains no certificate in PEM format")
    return failed(
        reason, f"{key_file!r} contains no private key in PEM format, or one that is too weak"
    )


def load_authorities(
    file: str | None, directory: str | None, context: ssl.SSLContext | None = None
) -> None:
    """Loads authorities, or without a context only checks them; raises as ``load_key_cert``."""
    context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if file is not None:
        _check_readable(file)
        try:
            context.load_verify_locations(file)
        except ssl.SSLError as cause:
            text = f"{file!r} contains no certificate in PEM format"
            raise failed(cause.reason or "PEM_LIB", text) from None
    if directory is not None:
        if not any(_HASHED.fullmatch(entry.name) for entry in Path(directory).iterdir()):
            text = "no certificate is named by its hash; run `openssl rehash` on the directory"
            raise OSError(errno.ENOENT, text, directory)
        context.load_verify_locations(None, directory)


def _check_readable(file: str) -> None:
    with Path(file).open("rb") as opened:
        opened.read(1)
