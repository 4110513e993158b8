"""Which certificates TLS believes, and what it says of the files that hold them."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from vfiipc import TLS
from vfiipc.transport.tls.openssl_engine import matches_pattern

from .certificates import HOST, Certificates, served
from .suite.base import LIMIT, LONG, PATIENCE, PREFIX, Aside, port_of, until

FLAGS = {
    "IGNORE_NONE": TLS.IGNORE_NONE,
    "IGNORE_ALL": TLS.IGNORE_ALL,
    "IGNORE_SELF_SIGNED": TLS.IGNORE_SELF_SIGNED,
    "IGNORE_EXPIRED": TLS.IGNORE_EXPIRED,
    "IGNORE_NOT_YET_VALID": TLS.IGNORE_NOT_YET_VALID,
    "IGNORE_HOSTNAME": TLS.IGNORE_HOSTNAME,
}
#: Each fault, and the flag beside IGNORE_ALL that lifts its check.
FAULTS = {
    "good": None,
    "expired": "IGNORE_EXPIRED",
    "not_yet_valid": "IGNORE_NOT_YET_VALID",
    "other_host": "IGNORE_HOSTNAME",
    "self_signed": "IGNORE_SELF_SIGNED",
    "unknown_authority": None,
}


def client_of(server: TLS, certificates: Certificates, flags: int = 0) -> TLS:
    client = TLS()
    assert client.addCA(certificates.ca)
    assert client.setCheckConfig(flags), client.last_error
    client.connect(server.local_addr(), 0, LONG)
    return client


class TestChecks:
    """Each flag lifts its own check, and no other."""

    @pytest.mark.parametrize("fault", FAULTS)
    def test_matrix(self, certificates: Certificates, fault: str) -> None:  # IPC-S1, IPC-S2
        with served(getattr(certificates, fault)) as server:
            for name, flags in FLAGS.items():
                lifted = fault == "good" or name in ("IGNORE_ALL", FAULTS[fault])
                with client_of(server, certificates, flags) as client:
                    assert (client.last_error is None) is lifted, (name, client.last_error)
                    code, text = client.TLSError()
                    assert code == (TLS.OK if lifted else TLS.ERR_AUTHENTICATION), (name, text)
                    message = client.read_msg(PREFIX, LIMIT, LONG)
                    assert message == ((1, b"welcome") if lifted else None)

    def test_flags_may_be_joined(self, certificates: Certificates) -> None:  # IPC-S2
        both_times = TLS.IGNORE_EXPIRED | TLS.IGNORE_NOT_YET_VALID
        for fault in ("expired", "not_yet_valid"):
            with served(getattr(certificates, fault)) as server:
                for flags in (both_times, both_times | TLS.IGNORE_SELF_SIGNED):
                    with client_of(server, certificates, flags) as client:
                        assert client.last_error is None
        with (
            served(certificates.other_host) as server,
            client_of(server, certificates, both_times) as client,
        ):
            assert client.TLSError()[0] == TLS.ERR_AUTHENTICATION

    def test_without_an_authority_nobody_is_believed(self, certificates: Certificates) -> None:
        # IPC-S1
        with served(certificates.good) as server, TLS() as client:
            assert client.connect(server.local_addr(), 0, LONG) is False
            assert client.TLSError()[0] == TLS.ERR_AUTHENTICATION
            assert client.addDefaultCA()
            assert client.connect(server.local_addr(), 0, LONG) is False

    def test_a_name_is_checked_as_an_address_is(self, certificates: Certificates) -> None:  # IPC-S1
        with served(certificates.good) as server, TLS() as client:
            assert client.setCA(certificates.ca)
            for flags in (TLS.IGNORE_NONE, TLS.IGNORE_EXPIRED):
                assert client.setCheckConfig(flags)
                assert client.connect("localhost", port_of(server), LONG), client.last_error

    @pytest.mark.parametrize("flags", [TLS.IGNORE_NONE, TLS.IGNORE_EXPIRED])
    def test_a_common_name_does_not_count(self, certificates: Certificates, flags: int) -> None:
        # IPC-S1
        with served(certificates.common_name_only) as server, TLS() as client:
            assert client.addCA(certificates.ca)
            assert client.setCheckConfig(flags)
            assert client.connect("localhost", port_of(server), LONG) is False
            assert client.TLSError()[0] == TLS.ERR_AUTHENTICATION

    @pytest.mark.parametrize("flags", [-1, 32, 64])
    def test_unknown_flags(self, flags: int) -> None:
        with pytest.raises(ValueError, match="IGNORE_"):
            TLS().setCheckConfig(flags)

    @pytest.mark.parametrize(
        ("pattern", "host", "same"),
        [
            ("host.example", "HOST.example.", True),
            ("host.example", "other.example", False),
            ("*.example.org", "a.example.org", True),
            ("*.example.org", "a.b.example.org", False),
            ("*.example.org", "example.org", False),
            ("a*.example.org", "ab.example.org", False),
            ("*", "host", False),
            ("*.org", "example.org", False),
            ("*.org", "", False),
        ],
    )
    def test_patterns_of_names(self, pattern: str, host: str, same: bool) -> None:  # IPC-S1
        assert matches_pattern(pattern, host) is same


@pytest.fixture(params=["1.2", "1.3"])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The version of TLS that is spoken, by both sides."""
    new = ssl.SSLContext.__new__

    def limited(kind: type[ssl.SSLContext], *arguments: Any, **keywords: Any) -> ssl.SSLContext:
        context = new(kind, *arguments, **keywords)
        if request.param == "1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    monkeypatch.setattr(ssl.SSLContext, "__new__", limited)
    return str(request.param)


class TestClientCertificates:
    def test_shown_and_believed(self, certificates: Certificates, version: str) -> None:
        with served(certificates.good, authority=certificates.ca) as server, TLS() as client:
            assert client.addCA(certificates.ca)
            assert client.setKeyCert(*certificates.client)
            assert client.connect(server.local_addr(), 0, LONG), client.last_error
            assert client.read_msg(PREFIX, LIMIT, LONG) == (1, b"welcome")

    @pytest.mark.parametrize("shown", [None, "expired", "unknown_authority"])
    def test_refused(self, certificates: Certificates, version: str, shown: str | None) -> None:
        # IPC-S4
        with served(certificates.good, authority=certificates.ca) as server, TLS() as client:
            assert client.addCA(certificates.ca)
            if shown is not None:
                assert client.setKeyCert(*getattr(certificates, shown))
            connected = client.connect(server.local_addr(), 0, LONG)
            assert connected is (version == "1.3")
            if connected:
                # The server's refusal comes after the client's part is done.
                assert client.read_msg(PREFIX, LIMIT, LONG) is None
                assert client.error()
            assert client.TLSError()[0] == TLS.ERR_AUTHENTICATION, client.last_error

    def test_who_only_writes_learns_it_too(self, certificates: Certificates) -> None:  # IPC-S4
        with served(certificates.good, authority=certificates.ca) as server, TLS() as client:
            assert client.addCA(certificates.ca)
            assert client.connect(server.local_addr(), 0, LONG)
            until(lambda: not client.write(b"x", LONG))
            assert client.error()
            assert client.TLSError()[0] == TLS.ERR_AUTHENTICATION, client.last_error

    @pytest.mark.parametrize("shown", ["self_signed", None])
    def test_a_server_that_lifts_all_checks_still_wants_one(
        self, certificates: Certificates, shown: str | None
    ) -> None:
        with TLS() as server, TLS() as client:
            assert server.setKeyCert(*certificates.good)
            assert server.setClientAuth(True)
            assert server.setCheckConfig(TLS.IGNORE_ALL)
            assert server.listen(0, HOST)
            assert client.addCA(certificates.ca)
            if shown is not None:
                assert client.setKeyCert(*getattr(certificates, shown))
            connecting = Aside(client.connect, server.local_addr(), 0, LONG)
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                assert accepted.write(b"x", LONG) is (shown is not None), accepted.last_error
            connecting.result()

    def test_the_server_learns_why(self, certificates: Certificates) -> None:
        with TLS() as server, TLS() as client:
            assert server.setKeyCert(*certificates.good)
            assert server.addCA(certificates.ca)
            assert server.setClientAuth(True)
            assert server.listen(0, HOST)
            assert client.addCA(certificates.ca)
            connecting = Aside(client.connect, server.local_addr(), 0, LONG)
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                assert accepted.poll_in(LONG)
                assert accepted.error()
                assert accepted.TLSError()[0] == TLS.ERR_AUTHENTICATION
            connecting.result()
            assert server.TLSError() == (TLS.OK, "")

    def test_a_server_can_lift_one_check_of_clients(self, certificates: Certificates) -> None:
        # IPC-S2
        for flags, good in [(TLS.IGNORE_EXPIRED, True), (TLS.IGNORE_SELF_SIGNED, False)]:
            with TLS() as server, TLS() as client:
                assert server.setKeyCert(*certificates.good)
                assert server.addCA(certificates.ca)
                assert server.setClientAuth(True)
                assert server.setCheckConfig(flags)
                assert server.listen(0, HOST)
                assert client.addCA(certificates.ca)
                assert client.setKeyCert(*certificates.expired)
                connecting = Aside(client.connect, server.local_addr(), 0, LONG)
                accepted = server.accept(LONG)
                assert accepted is not None
                with accepted:
                    assert accepted.write(b"x", LONG) is good, accepted.last_error
                connecting.result()


class TestFiles:
    def test_missing_and_wrong_ones_are_named(
        self, certificates: Certificates, tmp_path: Path
    ) -> None:
        wrong = tmp_path / "wrong.pem"
        wrong.write_text("no PEM at all")
        missing = tmp_path / "missing.pem"
        key, cert = certificates.good
        ipc = TLS()
        for arguments, named in [
            ((missing, cert), missing),
            ((key, missing), missing),
            ((wrong, cert), wrong),
            ((key, wrong), wrong),
            ((certificates.client[0], cert), certificates.client[0]),
        ]:
            assert ipc.setKeyCert(*arguments) is False
            assert str(named) in str(ipc.last_error)
            assert ipc.TLSError() == (TLS.ERR_FAIL, str(ipc.last_error))
        for file in (missing, wrong):
            assert ipc.addCA(file) is False
            assert str(file) in ipc.TLSError()[1]
        for directory in (missing, tmp_path):
            assert ipc.addCA(None, directory) is False
            assert str(directory) in ipc.TLSError()[1]
        with pytest.raises(TypeError, match="addCA"):
            ipc.addCA()

    @pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are no such users here")
    def test_an_unreadable_one_is_named(self, certificates: Certificates, tmp_path: Path) -> None:
        key = tmp_path / "locked.key"
        key.write_bytes(certificates.good[0].read_bytes())
        key.chmod(0)
        ipc, user = TLS(), os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            assert ipc.setKeyCert(key, certificates.good[1]) is False
        finally:
            os.seteuid(user)
        assert isinstance(ipc.last_error, PermissionError)
        assert str(key) in ipc.TLSError()[1]

    def test_an_encrypted_key_asks_nobody(self, certificates: Certificates, tmp_path: Path) -> None:
        from cryptography.hazmat.primitives import serialization

        plain = certificates.good[0].read_bytes()
        key = serialization.load_pem_private_key(plain, None)
        encrypted = tmp_path / "encrypted.key"
        encrypted.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
        ipc = TLS()
        assert ipc.setKeyCert(encrypted, certificates.good[1]) is False
        assert "encrypted" in ipc.TLSError()[1]

    @pytest.mark.parametrize("scheme", ["vault:", "sdi:"])
    def test_keys_inside_a_terminal(self, certificates: Certificates, scheme: str) -> None:
        ipc = TLS()
        assert ipc.hasAuthEx() is False
        assert ipc.setKeyCert(f"{scheme}key", certificates.good[1]) is False
        assert scheme in ipc.TLSError()[1]
        assert "out of reach" in ipc.TLSError()[1]

    def test_a_directory_of_hashed_names(self, certificates: Certificates, tmp_path: Path) -> None:
        import subprocess

        (tmp_path / "ca.pem").write_bytes(certificates.ca.read_bytes())
        subprocess.run(["openssl", "rehash", tmp_path], check=True, timeout=PATIENCE)
        with served(certificates.good) as server, TLS() as client:
            assert client.addCA(None, tmp_path), client.last_error
            assert client.connect(server.local_addr(), 0, LONG), client.last_error

    def test_a_server_needs_a_certificate(self) -> None:
        with TLS() as server:
            assert server.listen(0, HOST) is False
            assert "setKeyCert" in server.TLSError()[1]
            assert not server.is_server()

    def test_without_pyopenssl_a_single_check_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # IPC-S3
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        ipc = TLS()
        for flags in (TLS.IGNORE_EXPIRED, TLS.IGNORE_NOT_YET_VALID, TLS.IGNORE_SELF_SIGNED):
            assert ipc.setCheckConfig(flags) is False
            assert flags.name is not None
            assert flags.name in ipc.TLSError()[1]
            assert "'.[tls]'" in ipc.TLSError()[1]
        for flags in (TLS.IGNORE_ALL, TLS.IGNORE_HOSTNAME, TLS.IGNORE_NONE):
            assert ipc.setCheckConfig(flags)
        assert ipc.setCheckConfig(TLS.IGNORE_EXPIRED | TLS.IGNORE_NOT_YET_VALID)
