"""What imports load: programs start quickly, and load only what they use (see CONTRIBUTING.md)."""

from __future__ import annotations

import socket
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest

from vfiipc import TCP
from vfiipc.blocking.schemes import is_tls
from vfiipc.transport.sockets import is_tls_socket

#: Modules that are slow to import, and that few programs need.
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


def loaded_by(statement: str) -> set[str]:
    """The modules that a statement loads, in addition to those of ``construct``."""
    code = f"import sys, construct; before = set(sys.modules); {statement}\n"
    code += "print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=50
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_library_loads_nothing_slow() -> None:
    assert loaded_by("import vfiipc") & (SLOW | PARTS | EXTRAS) == set()


def test_a_tcp_connection_loads_nothing_slow() -> None:
    talk = (
        "from vfiipc import TCP; server, client = TCP(), TCP(); "
        "assert server.listen(0, '127.0.0.1'); "
        "assert client.connect(server.local_addr(), 0), client.last_error; "
        "peer = server.accept(5000); peer.write_msg(1, 2, b'x'); "
        "assert client.read_msg(1, 9, 5000).msg_id == 2; client.close(); peer.close(); "
        "server.close(); assert not TCP().connect('127.0.0.1', 1)"
    )
    assert loaded_by(talk) & (SLOW | PARTS | EXTRAS) == set()


@pytest.mark.parametrize(
    ("name", "module"),
    [("TLS", "ssl"), ("Loopback", "vfiipc.faults"), ("loopback_pair", "vfiipc.faults")],
)
def test_a_name_loads_its_module_at_first_use(name: str, module: str) -> None:
    assert module in loaded_by(f"from vfiipc import {name}")


@pytest.mark.parametrize("command", ["send", "echo", "listen", "talk", "notifysvc"])
def test_the_help_of_a_command_loads_nothing_slow(command: str) -> None:
    shown = f"from vfiipc.__main__ import main; assert main(['{command}', '--help']) == 0; print()"
    assert loaded_by(shown) & ((SLOW - {"ipaddress", "pathlib", "urllib"}) | EXTRAS) == set()


@pytest.mark.parametrize("name", ["ssl", "vfiipc.transport.tls"])
def test_a_module_that_another_thread_is_importing_is_harmless(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    with TCP() as tcp, socket.socket() as sock:
        assert not is_tls(tcp)
        assert not is_tls_socket(sock)


@pytest.mark.parametrize("name", ["vfiipc", "vfiipc.transport", "vfiipc.testing"])
def test_names_that_are_imported_at_first_use_are_listed(name: str) -> None:
    module = import_module(name)
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("name", ["vfiipc", "vfiipc.transport", "vfiipc.testing"])
def test_a_missing_name_raises_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        import_module(name).nothing  # noqa: B018
