"""The pytest plugin, in runs of its own: fixtures, failures, options, other plugins, coverage."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

TILL = """\
    import vfiipc

    def till(peer, *payloads):
        answers = []
        with vfiipc.connect(peer.address, prefix=peer.prefix, size_limit=65536) as connection:
            for number, payload in enumerate(payloads, 1):
                connection.send(payload, number)
                answers.append(connection.recv(10).data)
        return answers
"""


def run(folder: Path, code: str, *options: str, **files: str) -> tuple[int, str]:
    """Exit status and output of a run of pytest over this code."""
    (folder / "till.py").write_text(textwrap.dedent(TILL))
    (folder / "test_it.py").write_text("from till import till\n" + textwrap.dedent(code))
    for name, text in {"conftest": "", **files}.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    if not (folder / "pytest.ini").exists():
        (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope=function")
    environment = {name: os.environ[name] for name in os.environ if "PYTEST" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout + done.stderr


def failures(output: str) -> dict[str, list[str]]:
    """The first ten lines below the title of each failure."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in output.partition("= FAILURES =")[2].splitlines()[1:]:
        if line.startswith("___"):
            name = line.strip("_ ")
            found[name] = []
        elif line.startswith("==="):
            break
        elif name and len(found[name]) < 10:
            found[name].append(line)
    return found


def test_passes_and_failures(tmp_path: Path) -> None:
    code = """
        import pytest
        from vfiipc.testing import PeerFailure

        def test_good(ipc_peer):
            ipc_peer.expect(b"a").answer(b"1")
            ipc_peer.expect(b"b").answer(b"2")
            assert till(ipc_peer, b"a", b"b") == [b"1", b"2"]

        def test_unmet(ipc_peer):
            ipc_peer.expect(b"a").answer(b"1")
            ipc_peer.expect(json={"command": "status"})
            till(ipc_peer, b"a")

        def test_unexpected(ipc_peer):
            ipc_peer.expect(json={"command": "status"}).answer(b"1")
            till(ipc_peer, b'{"command": "start"}')

        def test_unexpected_but_survived(ipc_peer):
            with pytest.raises(Exception):
                till(ipc_peer, b"surplus")

        def test_verified_earlier(ipc_peer):
            ipc_peer.expect(b"never")
            ipc_peer.verify()

        def test_failing_by_itself(ipc_peer):
            ipc_peer.expect(b"never")
            assert 1 == 2

        def test_two_peers(ipc_peer_factory):
            good, bad = ipc_peer_factory(), ipc_peer_factory(prefix=0x41424344, pipe=True)
            good.expect(b"a").answer(b"1")
            bad.expect(b"b", msg_id=2)
            assert till(good, b"a") == [b"1"]

        def test_a_failure_that_was_wanted(ipc_peer):
            ipc_peer.expect(b"never")
            with pytest.raises(PeerFailure):
                ipc_peer.verify()
    """
    status, output = run(tmp_path, code)
    assert status == 1
    assert "6 failed, 2 passed" in output
    assert "ERROR" not in output
    found = failures(output)
    assert [*found] == [
        "test_unmet",
        "test_unexpected",
        "test_unexpected_but_survived",
        "test_verified_earlier",
        "test_failing_by_itself",
        "test_two_peers",
    ]
    wanted = "expect(json={'command': 'status'}) (test_it.py:"
    for name in "test_unmet", "test_unexpected":
        assert any(line.startswith("  expected: #") and wanted in line for line in found[name])
    assert "  received: msg_id 1, 1 byte: b'a' (connection 1)" in found["test_unmet"]
    came = "  received: msg_id 1, 20 bytes: JSON {'command': 'start'} (connection 1)"
    assert came in found["test_unexpected"]
    assert "    $.command: expected 'status', got 'start'" in found["test_unexpected"]
    assert "    def test_unexpected(ipc_peer):" in output
    assert "  expected: no more messages" in found["test_unexpected_but_survived"]
    assert any(line.startswith("E ") for line in found["test_verified_earlier"])
    assert "E       assert 1 == 2" in found["test_failing_by_itself"]
    assert any(
        "1 of 1 expectations was not met" in line for line in found["test_failing_by_itself"]
    )
    assert found["test_two_peers"][0].startswith("pipe:///")


@pytest.mark.long
def test_a_program_that_ends_in_a_fixture(tmp_path: Path) -> None:
    code = """
        import pytest

        @pytest.fixture
        def terminal(ipc_peer_factory):
            return ipc_peer_factory(prefix=7)

        @pytest.fixture
        def program(terminal):
            yield terminal
            till(terminal, b"goodbye")

        @pytest.fixture
        def finalized(terminal, request):
            request.addfinalizer(lambda: till(terminal, b"goodbye"))
            return terminal

        def test_good(program):
            program.expect(b"goodbye").answer(b"")

        def test_finalized(finalized):
            finalized.expect(b"goodbye").answer(b"")

        def test_bad(program):
            program.expect(b"goodbye").answer(b"")
            program.expect(b"never")

        def test_without_a_program(terminal):
            terminal.expect(b"never")
    """
    status, output = run(tmp_path, code)
    assert status == 1
    # Only where something runs after the test does the fault come as an error of the teardown.
    assert "1 failed, 3 passed, 1 error" in output, output
    # Under CI=true, pytest repeats them in its summary.
    reports = output.partition("short test summary info")[0]
    assert reports.count("expected: #2 expect(data=b'never')") == 1
    assert reports.count("expected: #1 expect(data=b'never')") == 1
    assert [*failures(output)] == ["test_without_a_program"]


@pytest.mark.long
def test_options(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nvfiipc_prefix = "0x004E4659"\nvfiipc_limit = "7"\n'
        'asyncio_default_fixture_loop_scope = "function"\n'
    )
    (tmp_path / "pytest.ini").unlink(missing_ok=True)
    code = """
        def test_it(ipc_peer, ipc_peer_factory):
            assert (ipc_peer.prefix, ipc_peer.size_limit) == (0x004E4659, 7)
            other = ipc_peer_factory(size_limit=8)
            assert (other.prefix, other.size_limit) == (0x004E4659, 8)
    """
    status, output = run(tmp_path, code, "-c", "pyproject.toml")
    assert (status, "1 passed" in output) == (0, True), output
    status, output = run(tmp_path, code, "-c", "pyproject.toml", "-o", "vfiipc_prefix=ADKI")
    assert status == 1
    assert "vfiipc_prefix must be a number such as 65536 or 0x004E4659, not 'ADKI'" in output


ASYNC = """
        import asyncio
        import anyio
        import pytest
        import vfiipc.aio

        async def ask(peer):
            peer.expect(b"a").delay(0.01).answer(b"1")
            peer.on_connect().answer(b"hello")
            framing = {"prefix": peer.prefix, "size_limit": 100}
            async with await vfiipc.aio.connect(peer.address, **framing) as connection:
                assert (await connection.recv()).data == b"hello"
                assert (await connection.request(b"a")).data == b"1"
                peer.send(b"event")
                assert (await connection.recv()).data == b"event"

        @pytest.mark.asyncio
        async def test_with_pytest_asyncio(ipc_peer):
            await ask(ipc_peer)

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_with_anyio(ipc_peer):
            await ask(ipc_peer)

        @pytest.mark.asyncio
        async def test_unmet(ipc_peer):
            ipc_peer.expect(b"never")

        @pytest.mark.parametrize("number", range(6))
        def test_in_threads(ipc_peer, number):
            ipc_peer.expect(b"%d" % number).answer(b"1")
            assert till(ipc_peer, b"%d" % number) == [b"1"]
"""


@pytest.mark.long
def test_beside_asyncio_anyio_and_xdist(tmp_path: Path) -> None:
    for name in "pytest_asyncio", "anyio":
        pytest.importorskip(name)
    status, output = run(tmp_path, ASYNC, "-n2", "-p", "no:randomly")
    assert status == 1
    assert "1 failed, 8 passed" in output, output
    assert any("expect(data=b'never')" in line for line in failures(output)["test_unmet"])


@pytest.mark.long
def test_it_costs_nothing_until_a_fixture_is_used(tmp_path: Path) -> None:
    watched = """
        import sys

        def loaded():
            return {name.partition(".")[0] for name in sys.modules} & {"vfiipc", "construct"}

        def pytest_load_initial_conftests():
            assert not loaded()

        def pytest_sessionfinish(session):
            assert session.config.pluginmanager.hasplugin("vfiipc")
            assert not loaded()
            print("nothing was loaded")
    """
    code = "def test_nothing(): pass"
    (tmp_path / "pytest.ini").write_text("[pytest]")
    (tmp_path / "till.py").write_text("")
    (tmp_path / "test_it.py").write_text(code)
    (tmp_path / "watch.py").write_text(textwrap.dedent(watched))
    options = ["-q", "-s", "-p", "watch", "-p", "no:cacheprovider", "-pno:asyncio", "-pno:anyio"]
    command = [sys.executable, "-m", "pytest", *options]
    path = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=path, capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing was loaded" in done.stdout


@pytest.mark.long
def test_what_runs_at_import_counts_as_covered(tmp_path: Path) -> None:
    # Lines of a module that run at its import are missing where it was imported before coverage
    # has started.
    code = """
        def test_it(ipc_peer):
            ipc_peer.expect().answer(b"x")
            assert till(ipc_peer, b"") == [b"x"]
    """
    status, output = run(tmp_path, code, "--cov=vfiipc", "--cov-report=term-missing", "-Wdefault")
    assert status == 0, output
    (version,) = (line for line in output.splitlines() if "_version.py" in line)
    assert version.split()[-1] == "100%", output
