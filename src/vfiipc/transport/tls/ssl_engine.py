"""The engine of the standard library."""

from __future__ import annotations

import ssl
from typing import Any, Final

from ...codec import Buffer
from .config import BOTH_TIMES, Config, load_authorities, load_key_cert
from .engine import RECORD, Engine, EngineMaker, Receive
from .errors import Check, cut_off, failed

__all__ = ["engine_maker"]

# Disables the checks of both times, and nothing else (OpenSSL's X509_V_FLAG_NO_CHECK_TIME).
_NO_CHECK_TIME: Final = 0x200000
# Marks that the first byte of a record was not read. A record of just this byte looks unread if an
# exception strikes at that moment; longer ones never do.
_BLANK: Final = 0xA5


def engine_maker(config: Config, server: bool) -> EngineMaker:
    """A maker of sessions; an ``OSError`` names a file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # With this option, which Python sets, a stream that was cut off looks like one that has ended.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    if server:
        # Tickets that a client never reads would make its close break the connection.
        context.num_tickets = 0
        context.verify_mode = ssl.CERT_REQUIRED if config.client_auth else ssl.CERT_NONE  # IPC-S4
    else:  # IPC-S1
        context.check_hostname = not config.ignored & (Check.IGNORE_HOSTNAME | Check.IGNORE_ALL)
        if ssl.HAS_NEVER_CHECK_COMMON_NAME:
            context.hostname_checks_common_name = False
        if config.ignored & Check.IGNORE_ALL:
            context.verify_mode = ssl.CERT_NONE
    if config.ignored & BOTH_TIMES == BOTH_TIMES:
        context.verify_flags |= _NO_CHECK_TIME
    if config.key_cert is not None:
        load_key_cert(*config.key_cert, context)
    for file, directory in config.authorities:
        load_authorities(file, directory, context)
    if config.default_authorities:
        context.set_default_verify_paths()
    return lambda host: _SSLEngine(context, host)


class _SSLEngine(Engine):
    """See ``Engine``.

    Ciphertext moves in one expression of C calls, between which no signal handler runs. A read of
    plaintext, however, runs handlers after its work, and their exception would lose the result. So
    the first byte of a record is read alone; the number of the others is known before they are
    read, and afterwards ``pending`` tells whether they were.

    Args:
        context: checks, and the own certificate.
        host: the name or address that the server must prove; None for a server.
    """

    def __init__(self, context: ssl.SSLContext, host: str | None) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._session = context.wrap_bio(
            self._in, self._out, server_side=host is None, server_hostname=host
        )
        # The methods of SSLObject are written in Python; these, which they call, are not.
        inner: Any = getattr(self._session, "_sslobj", self._session)
        self._read, self._pending, self._write = inner.read, inner.pending, inner.write
        self._uses = 0  # of the session; a signal handler may add one in the middle of another
        self._record = memoryview(bytearray(RECORD))
        self._record[0] = _BLANK
        self._begun = False  # the first byte of a record is in _record
        self._rest: int | None = None  # how many follow, once that is known

    @property
    def is_tls12(self) -> bool:
        return self._session.version() == "TLSv1.2"

    def handshake(self) -> bool:
        self._uses = uses = self._uses + 1
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise failed("UNEXPECTED_EOF", "the peer has closed during the handshake") from None
        except ssl.SSLError:
            if self._uses == uses:
                raise
            return False  # the other use hides what this one has met
        return True

    def fill(self, receive: Receive, limit: int, flags: int) -> int:
        count = sum(map(self._in.write, map(receive, (limit,), (flags,))))
        if not count:
            self._in.write_eof()
        return count

    def drain(self, out: bytearray) -> None:
        if self._out.pending:
            any(map(out.extend, map(self._out.read, (-1,))))

    def read(self, out: list[bytes]) -> bool:
        uses = self._uses
        try:
            data = self._next_record()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLEOFError:
            raise cut_off() from None
        except ssl.SSLError:
            if self._uses == uses:
                raise
            return False
        append = out.append
        # Nothing interrupts these three.
        self._begun, self._rest, self._record[0] = False, None, _BLANK
        append(data)
        return True

    def _next_record(self) -> bytes:
        """The plaintext of a record, ``b""`` at the end; the same one again if interrupted."""
        record = self._record
        if not self._begun:
            # A call that was interrupted may have read it.
            if record[0] == _BLANK and not self._pending() and not self._read(1, record[:1]):
                return b""
            self._begun = True
        if self._rest is None:
            self._rest = self._pending()
        rest = self._rest
        if rest and self._pending():
            self._read(rest, record[1 : 1 + rest])
        return record[: 1 + rest].tobytes()

    def write(self, data: Buffer) -> int:
        self._uses += 1
        count: int = self._write(data)
        return count

    def close_notify(self) -> None:
        try:
            self._session.unwrap()
        except ssl.SSLError:
            pass  # it waits for the peer's, or the session is broken
