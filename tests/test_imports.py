"""What an import brings with it: programs start quickly, and pay for what they use."""

from __future__ import annotations

import socket
import subprocess
import sys
from types import ModuleType

import pytest

from vfiipc import TCP
from vfiipc.blocking.schemes import is_tls
from vfiipc.transport.sockets import is_tls_socket

#: Slow to import, and needed by few programs.
SLOW = {
    "asyncio",
    "concurrent.futures",
    "ipaddress",
    "logging.handlers",
    "pathlib",
    "ssl",
    "urllib",
}
PARTS = {f"vfiipc.{name}" for name in ("aio", "cli", "conformance", "notify", "recording")} | {
    "vfiipc.testing",
    "vfiipc.transport.loopback",
    "vfiipc.transport.tls",
}
EXTRAS = {"argcomplete", "hypothesis", "jinja2", "nats", "prompt_toolkit", "rich", "textual"}


def brought_by(statement: str) -> set[str]:
    """The modules in a process that did this and no more; ``construct`` and its own left out."""
    # What construct brings is not ours to choose.
    code = f"import sys, construct; before = set(sys.modules); {statement}\n"
    code += "print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=50
    )
    return set(done.stdout.splitlines()[-1].split())


def test_the_library_brings_nothing_slow() -> None:
    assert brought_by("import vfiipc") & (SLOW | PARTS | EXTRAS) == set()


def test_a_connection_over_tcp_brings_nothing_more() -> None:
    talk = (
        "from vfiipc import TCP; server, client = TCP(), TCP(); "
        "assert server.listen(0, '127.0.0.1'); "
        "assert client.connect(server.local_addr(), 0), client.last_error; "
        "peer = server.accept(5000); peer.write_msg(1, 2, b'x'); "
        "assert client.read_msg(1, 9, 5000).msg_id == 2; client.close(); peer.close(); "
        "server.close(); assert not TCP().connect('127.0.0.1', 1)"
    )
    assert brought_by(talk) & (SLOW | PARTS | EXTRAS) == set()


@pytest.mark.parametrize(
    ("name", "module"),
    [("TLS", "ssl"), ("Loopback", "vfiipc.faults"), ("loopback_pair", "vfiipc.faults")],
)
def test_a_name_brings_its_module_when_it_is_used(name: str, module: str) -> None:
    assert module in brought_by(f"from vfiipc import {name}")


@pytest.mark.parametrize("command", ["send", "echo", "listen", "talk", "notifysvc"])
def test_the_help_of_a_command_brings_nothing_slow(command: str) -> None:
    shown = f"from vfiipc.__main__ import main; assert main(['{command}', '--help']) == 0; print()"
    assert brought_by(shown) & ((SLOW - {"ipaddress", "pathlib", "urllib"}) | EXTRAS) == set()


@pytest.mark.parametrize("name", ["ssl", "vfiipc.transport.tls"])
def test_what_another_thread_is_importing_disturbs_nobody(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    with TCP() as tcp, socket.socket() as sock:
        assert not is_tls(tcp)
        assert not is_tls_socket(sock)


def test_names_that_are_imported_later_are_listed() -> None:
    import vfiipc

    assert set(vfiipc.__all__) <= set(dir(vfiipc))


def test_a_name_that_does_not_exist_is_named() -> None:
    import vfiipc
    from vfiipc import transport

    for module in vfiipc, transport:
        with pytest.raises(AttributeError, match=r"module 'vfiipc.*' has no attribute 'nothing'"):
            module.nothing  # noqa: B018
