"""TLS through the whole suite, with each of its engines."""

from __future__ import annotations

import pytest

from vfiipc import TLS

from .certificates import Certificates, tls_pair
from .conformance import Conformance, Pair


class TestTLS(Conformance):
    """With the standard library."""

    has_descriptor = False

    @pytest.fixture(autouse=True)
    def keep_certificates(self, certificates: Certificates) -> None:
        self.certificates = certificates

    def connected_pair(self) -> Pair:
        return tls_pair(self.certificates)


class TestTLSWithPyOpenSSL(TestTLS):
    """With pyOpenSSL, on both sides."""

    def connected_pair(self) -> Pair:
        return tls_pair(self.certificates, use_pyopenssl)


def use_pyopenssl(ipc: TLS) -> None:
    """Has the client use it: a flag that lifts a check which is not needed."""
    assert ipc.setCheckConfig(TLS.IGNORE_NOT_YET_VALID), ipc.last_error
