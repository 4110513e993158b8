from __future__ import annotations

import json
import os
import re
import resource
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.cli.program import (
    PROGRAM,
    TIMEOUT,
    Ended,
    accept,
    echo,
    listening,
    run,
    started,
    unused_address,
)
from tests.helpers.source import ROOT
from tests.transport.certificates import Certificates
from vfiipc.__main__ import main
from vfiipc.cli.examine_output import Output
from vfiipc.conformance import CASES, Result, Verdict

QUICK = ["--only", "1.1", "--only", "2.*", "--only", "4.1", "--only", "5.1.4"]
RUN_PEER = str(ROOT / "tests" / "conformance" / "run_peer.py")


def broken(name: str) -> str:
    return shlex.join([sys.executable, RUN_PEER, name]) + " {port} {prefix} {limit}"


def echo_command(*options: str) -> str:
    return shlex.join([*PROGRAM, "echo", *options]) + " {port} --prefix {prefix} --limit {limit}"


def report_of(done: Ended) -> dict[str, Any]:
    report = json.loads(done.out)
    assert isinstance(report, dict)
    return report


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {case["id"]: case["verdict"] for case in report["cases"]}


# Arguments


def test_the_list_has_every_case() -> None:
    done = run("examine", "--list")
    assert (done.status, done.err) == (0, "")
    lines = done.out.decode().splitlines()
    assert [line.split()[0] for line in lines] == [case.id for case in CASES]
    assert lines[0].split(maxsplit=2) == ["1.1", "2.2", "A -> A"]


def test_cases_are_chosen_by_globs() -> None:
    done = run("examine", "--list", "--only", "4.9.*", "--only", "5.1.?", "--exclude", "*.2")
    numbers = [line.split()[0] for line in done.out.decode().splitlines()]
    assert numbers == [
        *("4.9.1", "4.9.3", "4.9.4", "4.9.5"),
        *("5.1.1", "5.1.3", "5.1.4", "5.1.5", "5.1.6", "5.1.7"),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no peer given; use ADDRESS, --listen or --exec"),
        (
            ["5000", "--listen", "5001"],
            "--listen waits for the peer and excludes ADDRESS and --exec",
        ),
        (
            ["--exec", "true", "--listen", "5001"],
            "--listen waits for the peer and excludes ADDRESS and --exec",
        ),
        (["--exec", "./echo"], "--exec must contain {port}"),
        (["--exec", "'"], "cannot be split into words"),
        (["--exec", " "], "the command is empty"),
        (["5000", "--only", "11.*"], "no case has an ID like '11.*'"),
        (["5000", "--exclude", "x"], "no case has an ID like 'x'"),
        (["5000", "--exclude", "*"], "--only and --exclude leave no case"),
        (["5000", "--timeout-scale", "0"], "'0' is not a factor"),
        (["5000", "--timeout-scale", "nan"], "'nan' is not a factor"),
        (["5000", "--mode", "quick"], "invalid choice: 'quick'"),
        (["5000", "--seed", "-1"], "'-1' is not a seed"),
        (["no port"], "'no port'"),
        (["5000", "--junit", "-"], "argument --junit: only --json can write to standard output"),
        (["5000", "--html", "-"], "argument --html: only --json can write to standard output"),
        (["5000", "--save-expect", "-"], "--save-expect: only --json can write to standard output"),
    ],
)
def test_wrong_arguments_are_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["examine", *arguments])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


# Report files

FILE_OPTIONS = ("--json", "--junit", "--html", "--save-expect")


@pytest.mark.parametrize("option", FILE_OPTIONS)
@pytest.mark.parametrize("place", [".", "absent/report"])
def test_a_file_that_cannot_be_written_fails_before_the_run(
    tmp_path: Path, option: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / place)
    assert main(["examine", unused_address(), option, path]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"cannot write {path}: " in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", FILE_OPTIONS)
def test_a_file_needs_a_name(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["examine", unused_address(), option, ""]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"argument {option}: the file name is empty" in err


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_a_killed_run_leaves_the_earlier_reports_as_they_were(tmp_path: Path) -> None:
    paths = [tmp_path / option for option in FILE_OPTIONS]
    for path in paths:
        path.write_text("earlier")
    arguments = [str(each) for pair in zip(FILE_OPTIONS, paths) for each in pair]
    with listening() as (listener, address), started("examine", address, *arguments) as running:
        accept(listener).close()
        running.send_signal(signal.SIGKILL)
        running.end()
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert {path.read_text() for path in paths} == {"earlier"}


@pytest.mark.skipif(os.name != "posix", reason="modes and symbolic links")
def test_a_report_replaces_the_file_and_keeps_its_mode_and_links(tmp_path: Path) -> None:
    report, link = tmp_path / "report", tmp_path / "link"
    report.write_text("earlier")
    report.chmod(0o640)
    link.symlink_to(report)
    done = run("examine", unused_address(), "--only", "1.1", "--json", str(link))
    assert (done.status, done.err) == (1, "")
    assert verdicts(json.loads(report.read_text())) == {"1.1": "INCONCLUSIVE"}
    assert (link.is_symlink(), report.stat().st_mode & 0o777) == (True, 0o640)
    assert sorted(tmp_path.iterdir()) == [link, report]


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="needs /dev/stdout")
def test_a_report_can_go_to_a_pipe() -> None:
    done = run("examine", unused_address(), "--only", "1.1", "--junit", "/dev/stdout")
    assert (done.status, done.err) == (1, "")
    assert b"<testsuites>" in done.out


@pytest.mark.long
def test_what_xml_cannot_hold_is_escaped(tmp_path: Path) -> None:
    """Commands and the output of a peer may hold any byte."""
    script = "import sys; sys.stderr.buffer.write(b'\\x1b\\xff'); exit(1)"
    command = shlex.join([sys.executable, "-c", script, "{port}", "\x1b", "\x01", "\udcff"])
    junit, page = tmp_path / "junit", tmp_path / "page"
    files = ["--junit", str(junit), "--html", str(page)]
    done = run("examine", "--exec", command, "--only", "1.1", *files)
    assert done.status == 1
    assert "Traceback" not in done.err
    properties = ElementTree.fromstring(junit.read_text(encoding="utf-8")).iter("property")
    (peer,) = (each.get("value", "") for each in properties if each.get("name") == "peer")
    assert r"'\x1b' '\x01' '\udcff'" in peer
    assert r"\x1b" in page.read_text(encoding="utf-8")


# What comes out


def test_json(tmp_path: Path) -> None:
    with echo() as (_, address):
        done = run("examine", address, *QUICK, "--json", "-")
    report = report_of(done)
    assert (done.status, done.err) == (0, "")
    assert {name: report[name] for name in ("catalogue", "peer", "prefix", "limit", "mode")} == {
        "catalogue": 1,
        "peer": address,
        "prefix": "0xc0deface",
        "limit": 16 << 20,
        "mode": "lenient",
    }
    assert report["complete"] is True
    assert report["summary"] == {
        "OK": 6, "NON-STRICT": 0, "INFORMATIONAL": 0, "UNIMPLEMENTED": 0, "FAILED": 0,
        "INCONCLUSIVE": 0,
    }  # fmt: skip
    assert [case["id"] for case in report["left_out"]] == ["2.4"]
    assert "{limit}" in report["left_out"][0]["reason"]
    case = report["cases"][0]
    assert (case["id"], case["rule"], case["verdict"], case["ending"]) == (
        "1.1", "2.2", "OK", "clean",
    )  # fmt: skip
    assert case["expected"] == "A, Z"
    sent = bytes.fromhex("".join(data for _, data in case["sent"]))
    received = bytes.fromhex("".join(data for _, data in case["received"]))
    assert sent == received
    assert case["sent_bytes"] == case["received_bytes"] == len(sent)
    times = [at for at, _ in case["sent"]]
    assert times == sorted(times)
    assert 0 <= times[0] <= case["seconds"] < TIMEOUT


def test_at_most_4_kib_are_shown() -> None:
    with echo() as (_, address):
        report = report_of(run("examine", address, "--only", "1.2.4", "--json", "-"))
    (case,) = report["cases"]
    for side in ("sent", "received"):
        assert sum(len(data) // 2 for _, data in case[side]) == 4096
        assert case[f"{side}_bytes"] > 65_531


def test_lines(tmp_path: Path) -> None:
    with echo() as (_, address):
        done = run("examine", address, *QUICK)
    assert done.status == 0
    lines = done.out.decode().splitlines()
    assert lines[0] == f"peer: {address}; prefix 0xc0deface, limit 16,777,216, seed 1"
    assert lines[1] == "OK            1.1     A"
    assert lines[-1] == "mode: lenient; OK: 6, left out: 1"


def test_a_failure_quotes_its_rule_and_what_was_seen(tmp_path: Path) -> None:
    files = {kind: tmp_path / f"report.{kind}" for kind in ("json", "xml", "html")}
    done = run(
        "examine", "--exec", broken("minimum 3"), "--limit", "100", *QUICK,
        "--json", str(files["json"]), "--junit", str(files["xml"]), "--html", str(files["html"]),
    )  # fmt: skip
    assert (done.status, done.err) == (1, "")
    out = " ".join(done.out.decode().split())
    assert "FAILED 5.1.4 P and S = 3, A rule: FRM-R5: Read S, unsigned," in out
    assert "expected: A, Z observed: message 1 is a message with the ID" in out
    assert verdicts(json.loads(files["json"].read_text()))["5.1.4"] == "FAILED"
    suite = ElementTree.fromstring(files["xml"].read_text())[0]
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "7", "failures": "1", "errors": "0", "skipped": "0"}
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "rule: FRM-R5: Read S" in (failure.text or "")
    check_page(files["html"].read_text(encoding="utf-8"))


@pytest.mark.parametrize(("columns", "widest"), [("60", 60), ("300", 100), ("5", 40)])
def test_a_failure_fits_the_terminal(
    columns: str,
    widest: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    case = next(case for case in CASES if case.id == "5.1.4")
    failed = Result(case.id, "", case.rule, Verdict.FAILED, "clean", 0.0, "A, Z", "nothing " * 30)
    Output([case], quiet=False).report(failed)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert widest - 20 < max(map(len, lines)) <= widest


def test_the_same_reason_is_given_once(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = [case for case in CASES if case.chapter == 2][:3]
    output = Output(chosen, quiet=False)
    for case, why in zip(chosen, ("refused", "refused", "closed")):
        output.report(Result(case.id, "", case.rule, Verdict.INCONCLUSIVE, "open", 0.0, "A", why))
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines[1::2]] == [
        "observed: refused",
        "observed: as above",
        "observed: closed",
    ]


def check_page(page: str) -> None:
    """It needs nothing else, and has what the other reports have."""
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=|url\(|@import|https?:", page)
    assert "A, B and Z are ordinary messages, P is the prefix, S a size, L the limit" in page
    assert page.count('<details class="case') == 7
    assert '<details class="case failed" id="case-5.1.4" open>' in page
    assert "Read S, unsigned, from the four bytes after P." in page


def test_what_a_peer_says_is_never_markup(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    command = shlex.join([sys.executable, "-c", "exit('<script>alert(1)</script>')", "{port}"])
    done = run("examine", "--exec", command, "--only", "1.1", "--html", str(page))
    assert done.status == 1
    text = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in text


# Verdicts and exit status


@pytest.mark.long
def test_non_strict_fails_with_strict_only() -> None:
    command = ["--exec", broken("stays after a fault"), "--only", "10.*", "--mode", "strict"]
    assert run("examine", *command, "--timeout-scale", "0.5").status == 0
    assert run("examine", *command, "--timeout-scale", "0.5", "--strict").status == 1


def test_nobody_listens() -> None:
    done = run("examine", unused_address(), "--json", "-")
    report = report_of(done)
    assert done.status == 1
    assert report["summary"]["INCONCLUSIVE"] == len(report["cases"]) > 80
    assert report["cases"][0]["observed"] == "connection refused"


@pytest.mark.parametrize(
    "command", ["/nowhere/echo {port}", f"{sys.executable} -c exit(7) {{port}}"]
)
def test_a_peer_that_does_not_start(command: str) -> None:
    done = run("examine", "--exec", command, *QUICK, "--json", "-")
    report = report_of(done)
    assert done.status == 1
    assert set(verdicts(report).values()) == {"INCONCLUSIVE"}
    observed = report["cases"][0]["observed"]
    assert "no such file" in observed or "its process exited with status 7" in observed


@pytest.mark.long
def test_a_peer_that_dies_in_the_middle_is_started_again() -> None:
    options = ["--only", "5.1.*", "--only", "1.1", "--json", "-"]
    done = run("examine", "--exec", broken("crashes"), *options)
    report = report_of(done)
    assert done.status == 1
    assert {number for number, verdict in verdicts(report).items() if verdict != "OK"} == {"5.1.7"}
    (case,) = (case for case in report["cases"] if case["id"] == "5.1.7")
    assert case["verdict"] == "FAILED"
    assert "its process was killed by SIGABRT" in case["observed"]


def test_a_peer_that_dies_in_the_middle_and_stays_dead() -> None:
    """The case that ends it fails; nothing can be said about those that follow."""
    with listening() as (listener, address):

        def answer_once() -> None:
            for _ in range(2):  # the probe for the mode, and the first case
                with accept(listener) as connection:
                    while data := connection.recv(65536):
                        connection.sendall(data)
            listener.close()

        thread = threading.Thread(target=answer_once)
        thread.start()
        options = ["--only", "1.*", "--serial", "--mode", "lenient", "--json", "-"]
        done = run("examine", address, *options)
        thread.join()
    found = list(verdicts(report_of(done)).values())
    assert done.status == 1
    assert found[:2] == ["OK", "OK"]
    assert set(found[2:]) == {"INCONCLUSIVE"}


@pytest.mark.long
def test_known_deviations(tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    command = ["--exec", broken("minimum 3"), "--limit", "100"]
    assert run("examine", *command, *QUICK, "--save-expect", str(known)).status == 1
    assert json.loads(known.read_text()) == {
        "catalogue": 1,
        "cases": {
            "1.1": "OK", "2.1": "OK", "2.2": "OK", "2.3": "OK", "2.4": "OK", "4.1": "OK",
            "5.1.4": "FAILED",
        },
    }  # fmt: skip
    assert run("examine", *command, *QUICK, "--expect", str(known)).status == 0
    better = run("examine", "--exec", broken("right"), *QUICK, "--expect", str(known))
    assert better.status == 1
    assert "changed: 5.1.4: FAILED before, OK now" in better.out.decode()
    more = run("examine", *command, "--only", "1.2.1", "--expect", str(known))
    assert "changed: 1.2.1: not run before, OK now" in more.out.decode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[]", "no object"),
        ('{"catalogue": 2, "cases": {}}', "made for version 2 of the catalogue"),
        ('{"catalogue": 1, "cases": {"0.1": "OK"}}', "there is no case '0.1'"),
        ('{"catalogue": 1, "cases": {"1.1": "FINE"}}', "'FINE' is not one of"),
        ('{"catalogue": 1, "cases": {"1.1": []}}', "[] is not one of"),
    ],
)
def test_a_malformed_file_of_expectations(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "known.json"
    known.write_text(text)
    assert main(["examine", unused_address(), "--expect", str(known)]) == 2
    assert said in capsys.readouterr().err


# Kinds of peers


class Client:
    """A peer that connects again and again, one connection at a time, and echoes what it likes."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._place = (host, int(port))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with socket.create_connection(self._place, TIMEOUT) as connection:
                    connection.settimeout(1)
                    self._echo(connection)
            except OSError:
                time.sleep(0.02)

    def _echo(self, connection: socket.socket) -> None:
        from tests.conformance.peer import Peer, Receiver

        peer, receiver = Peer(0xC0DEFACE, 100), Receiver(0xC0DEFACE, 100)
        while not self._stopped.is_set() and (data := connection.recv(65536)):
            peer.answer(connection, receiver.feed(data))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


def test_the_peer_connects() -> None:
    address = unused_address()
    options = ["--limit", "100", *QUICK, "--only", "8.*", "--only", "9.1", "--json", "-"]
    with Client(address):
        done = run("examine", "--listen", address, *options)
    report = report_of(done)
    found = verdicts(report)
    assert report["peer"] == address
    assert {number: verdict for number, verdict in found.items() if verdict != "OK"} == {
        "9.1": "UNIMPLEMENTED"
    }
    assert done.status == 0
    assert len(found) == 15


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def files_of(certificates: Certificates) -> list[str]:
    key, certificate = certificates.good
    return ["--cert", str(certificate), "--key", str(key)]


@pytest.mark.long
def test_tls(certificates: Certificates) -> None:
    with echo("tls://127.0.0.1:0", *files_of(certificates)) as (_, address):
        options = ["--ca", str(certificates.ca), *QUICK, "--only", "8.*", "--json", "-"]
        done = run("examine", address, *options)
    found = verdicts(report_of(done))
    assert done.status == 0
    wanted = dict.fromkeys(("8.1", "8.2", "8.3", "8.4"), "UNIMPLEMENTED")
    assert {number: verdict for number, verdict in found.items() if verdict != "OK"} == wanted


@pytest.mark.long
def test_tls_that_is_not_trusted(certificates: Certificates) -> None:
    with echo("tls://127.0.0.1:0", *files_of(certificates)) as (_, address):
        done = run("examine", address, "--only", "1.1", "--json", "-")
    (case,) = report_of(done)["cases"]
    assert (done.status, case["verdict"]) == (1, "INCONCLUSIVE")
    assert "certificate" in case["observed"].lower()


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets in Python there")
def test_a_pipe(tmp_path: Path) -> None:
    address = f"pipe://{tmp_path}/socket"
    with echo(address):
        done = run("examine", address, *QUICK, "--only", "8.*", "--json", "-")
    found = verdicts(report_of(done))
    assert done.status == 0
    wanted = dict.fromkeys(("8.6", "8.7"), "UNIMPLEMENTED")
    assert {number: verdict for number, verdict in found.items() if verdict != "OK"} == wanted


def test_a_program_at_a_fixed_address(tmp_path: Path) -> None:
    address = f"pipe://{tmp_path}/socket"
    command = shlex.join([*PROGRAM, "echo", address])
    done = run("examine", address, "--exec", command, "--only", "1.1", "--json", "-")
    assert (done.status, verdicts(report_of(done))) == (0, {"1.1": "OK"})


def test_one_connection_at_a_time() -> None:
    options = ["--only", "1.1", "--only", "8.5", "--only", "9.*", "--exclude", "9.[2-7]"]
    command = ["--exec", broken("one connection at a time"), *options, "--json", "-"]
    done = run("examine", *command, "--serial")
    assert verdicts(report_of(done)) == {
        "1.1": "OK", "8.5": "OK", "9.1": "UNIMPLEMENTED", "9.8": "UNIMPLEMENTED"
    }  # fmt: skip
    assert done.status == 0


# Ends


@contextmanager
def free_descriptors(count: int) -> Iterator[None]:
    """Leaves this process with no more than so many."""
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(count + 1)]
    for each in opened:
        os.close(each)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened[-1], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("how", ["connects", "starts it"])
def test_a_lack_of_descriptors_is_not_the_peers_fault(
    how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["examine", "--list"]) == 0  # imports what the command needs
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        peer = [port] if how == "connects" else ["--exec", "true {port}"]
        with free_descriptors(3):  # which the event loop takes
            assert main(["examine", *peer, "--only", "1.1"]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "mode: lenient; no case was run"
    assert said.err.splitlines() == [
        "interrupted: these are the results so far",
        (
            "vfiipc examine: too many open files on this machine, so the rest was not run; "
            "--serial needs fewer descriptors, ulimit -n allows more"
        ),
    ]


@contextmanager
def under_way(*options: str) -> Iterator[Any]:
    """A run that has begun, with cases that wait."""
    command = ["--exec", echo_command(), "--only", "1.1", "--only", "7.7", *options]
    with started("examine", *command) as running:
        running.line()
        assert running.line().startswith("OK            1.1")
        yield running


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_gives_what_is_known(tmp_path: Path, number: int, status: int) -> None:
    path, junit, known = tmp_path / "report.json", tmp_path / "junit.xml", tmp_path / "known.json"
    known.write_text("known before")
    files = ["--json", str(path), "--junit", str(junit), "--save-expect", str(known)]
    with under_way(*files) as running:
        for _ in range(4):  # the first counts; the others come while the report is made
            running.send_signal(number)
            time.sleep(0.02)
        done = running.end()
    report = json.loads(path.read_text())
    assert done.status == status
    assert "interrupted: these are the results so far" in done.err
    assert (report["complete"], verdicts(report)) == (False, {"1.1": "OK"})
    suite = ElementTree.fromstring(junit.read_text())[0]
    assert (suite.get("tests"), suite.get("errors")) == ("2", "1")
    error = suite.find("testcase[@name='the whole run']/error")
    assert error is not None
    assert (error.get("message") or "").startswith("the run was ended early")
    assert known.read_text() == "known before"
    assert f"{known} was left as it was, because not all cases have run" in done.err


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_no_process_is_left_behind() -> None:
    with under_way() as running:
        children = _children(running.process.pid)
        assert children
        running.send_signal(signal.SIGINT)
        running.end()
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


def _children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(word) for word in path.read_text().split()]


@pytest.mark.long
def test_nobody_reads_the_output() -> None:
    with under_way() as running:
        running.close_output()
        assert running.end().status in (0, 141)


@pytest.mark.long
def test_a_peer_without_end_is_no_danger() -> None:
    """It sends as fast as it can; the kit keeps little of it, and says what is wrong."""
    done = run("examine", "--exec", broken("floods"), "--only", "[1-4].1", "--json", "-")
    report = report_of(done)
    assert set(verdicts(report).values()) == {"FAILED"}
    assert all(case["received_bytes"] < 1 << 20 for case in report["cases"])


def test_other_commands_do_not_wait_for_asyncio() -> None:
    code = "import sys, vfiipc.__main__; sys.exit('asyncio' in sys.modules)"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
