from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.program import Running, connect, receive, run, send, started
from vfiipc.__main__ import main
from vfiipc.cli.answers import Rule, answer_to, read_rules
from vfiipc.codec import Message, encode


@contextmanager
def _listening(*arguments: str) -> Iterator[tuple[Running, str]]:
    with started("listen", "0", *arguments) as running:
        first = running.line()
        assert first.startswith("listening at 127.0.0.1:"), first
        yield running, first.split()[-1]


def test_it_prints_every_message_and_answers() -> None:
    with _listening("--answer", "OK", "--once") as (running, address):
        with connect(address) as client:
            client.sendall(b"garbage")
            send(client, 7, b"hello")
            assert receive(client) == [(7, b"OK")]
            here = f"{client.getsockname()[0]}:{client.getsockname()[1]}"
        status, out, err = running.end()
    lines = [line.split("  ", 1)[1] for line in out.decode().splitlines() if line[0] != " "]
    assert (status, err) == (0, "")
    assert lines == [
        f"#1  {here} > {address}  connected",
        "#1 >  at 0  discarded 7 bytes (67 61 72 62 61 67 65): no prefix",
        "#1 >  at 7  prefix 0xc0deface  size 9  msg_id 7  data: 5 bytes",
        "#1 <  at 0  size 6  msg_id 7  data: 2 bytes",
        "#1  closed",
    ]
    assert out.decode().count("    hello\n") == 1


def test_every_line_is_json() -> None:
    with started("listen", "--once", "--json", "--no-payload") as running:
        address = running.error_line().split()[-1]
        with connect(address) as client:
            send(client, 7, b"hello")
        status, out, _ = running.end()
    lines = [json.loads(line) for line in out.splitlines()]
    assert (status, [line["kind"] for line in lines]) == (0, ["connected", "message", "closed"])
    assert lines[1]["to"] == address
    assert b"hello" not in out


def test_many_connections_at_once_until_ctrl_c() -> None:
    with _listening("--answer", "OK") as (running, address):
        clients = [connect(address) for _ in range(5)]
        for client in clients:
            send(client, 1, b"hello")
        assert [receive(client) for client in clients] == [[(1, b"OK")]] * 5
        running.interrupt()
        status, out, err = running.end()
        for client in clients:
            client.close()
    assert (status, err) == (130, "")
    assert {f"#{number}".encode() for number in range(1, 6)} <= set(out.split())


def test_a_pipe(tmp_path: Path) -> None:
    place = f"pipe://{tmp_path}/terminal"
    with started("listen", place, "--answer", "OK") as running:
        assert running.line() == f"listening at {place}"
        assert run("send", place, "hello")[:2] == (0, b"OK\n")


def test_an_output_that_nobody_reads() -> None:
    with _listening() as (running, address):
        running.close_output()
        with connect(address) as client:
            send(client, 1, b"hello")
            assert running.end()[0] == 141


def test_answers_by_rules(tmp_path: Path) -> None:
    rules = [
        {"id": 7, "matches": "^ping", "answer": "pong"},
        {"matches": '"amount"', "answer": {"result": "OK"}, "answer_id": 1},
        {"id": 9, "answer_hex": "15 00"},
    ]
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    read = read_rules(str(tmp_path / "rules.json"))
    assert answer_to(read, Message(7, b"ping 1")) == (7, b"pong")
    assert answer_to(read, Message(8, b"ping 1")) is None
    assert answer_to(read, Message(3, b'{"amount": 1}')) == (1, b'{"result": "OK"}')
    assert answer_to(read, Message(9, b"\xff")) == (9, b"\x15\x00")
    assert answer_to([Rule(b"first"), Rule(b"second")], Message(0, b"")) == (0, b"first")


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ("{", "is not JSON"),
        ("\xff", "is not JSON"),
        ("[" * 200_000, "rules.json is nested too deeply"),
        ('[{"answer": NaN}]', "is not JSON: NaN is not a JSON value"),
        ('[{"answer": "\\ud800"}]', "rule 1: answer holds half of a surrogate pair"),
        ('[{"answer": "a", "matches": "\\ud800"}]', "rule 1: matches holds half of a surrogate"),
        ('[{"answer": "a", "matches": 5}]', "rule 1: matches must be a string"),
        ('[{"answer": "a", "matches": "a{99999999999}"}]', "the repetition number is too large"),
        (
            json.dumps([{"answer": "a", "matches": "(" * 9999 + ")" * 9999}]),
            "rule 1: matches is too large a regular expression",
        ),
        ('[{"answer": "a", "id": 7.0}]', "rule 1: id must be a whole number"),
        ('[{"answer": "a", "id": true}]', "rule 1: id must be a whole number"),
        ("{}", "must be an array of rules"),
        ("[1]", "rule 1: must be an object"),
        ('[{"answer": "a"}, {"anser": "b"}]', "rule 2: 'anser' is unknown; use answer, "),
        ("[{}]", "rule 1: needs either answer or answer_hex"),
        ('[{"answer": "a", "answer_hex": "00"}]', "rule 1: needs either answer or answer_hex"),
        ('[{"answer_hex": "0"}]', "rule 1: answer_hex must be pairs"),
        ('[{"answer": "a", "id": "7"}]', "rule 1: id: msg_id must be an int"),
        ('[{"answer": "a", "answer_id": 2147483648}]', "rule 1: answer_id: msg_id is 2147483648"),
        ('[{"answer": "a", "matches": "("}]', "rule 1: matches is not a regular expression"),
    ],
)
def test_bad_rules_are_named(
    rules: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules.json").write_bytes(rules.encode("latin-1"))
    assert main(["listen", "--answers", str(tmp_path / "rules.json")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert says in err


def test_answers_are_sent_as_they_are_written(tmp_path: Path) -> None:
    text = '[{"answer": {"amount": 100.00, "rate": 1e400, "a": [1, -0.0, "\\ud800", true, null]}}]'
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "rules.json").write_text(text, encoding=encoding)
        answer = answer_to(read_rules(str(tmp_path / "rules.json")), Message(1, b""))
        assert answer == (1, text[12:-2].encode())


def test_what_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "--answers", "no/such/file"]) == 1
    assert main(["listen", "192.0.2.1:5000"]) == 1
    assert main(["listen", "pipe:///no/such/folder/x"]) == 1
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == "vfiipc listen: cannot read no/such/file: no such file or directory"
    assert second.startswith("vfiipc listen: cannot listen at 192.0.2.1:5000: ")
    assert third.startswith("vfiipc listen: cannot listen at pipe:///no/such/folder/x: ")


# --- the prefix -----------------------------------------------------------------------------------

OTHER = 0x004E4659
HELLO = encode(OTHER, 7, b"hello")


def test_a_prefix_is_suggested_where_no_message_is_recognised() -> None:
    with _listening("--once") as (running, address):
        with connect(address) as client:
            client.sendall(HELLO[:12])
            client.sendall(HELLO[12:])
            suggestion = running.error_line()
            client.sendall(HELLO)
        assert running.end().err == ""  # once is enough
    assert suggestion == (
        "received 17 bytes, no message; "
        "the peer may use prefix 0x004e4659: try --prefix 0x004e4659\n"
    )


def test_tls_is_suggested_where_it_is_spoken() -> None:
    with _listening("--once") as (running, address):
        with connect(address) as client:
            client.sendall(b"\x16\x03\x01" + bytes(30))
        assert "33 bytes, no message; it looks like TLS: try tls://" in running.end().err


def test_the_prefix_is_taken_from_the_first_message() -> None:
    with _listening("--prefix", "auto", "--answer", "OK", "--once") as (running, address):
        with connect(address) as client:
            client.sendall(HELLO[:13])
            client.sendall(HELLO[13:])
            assert receive(client, prefix=OTHER) == [(7, b"OK")]
        status, out, err = running.end()
    assert (status, out.count(b"prefix 0x004e4659")) == (0, 1)
    assert err == "prefix 0x004e4659: possible, messages: 1, 100% of the bytes\n"


def test_a_filter_chooses_what_is_printed() -> None:
    with _listening("--id", "7", "--once", "--answer", "OK") as (running, address):
        with connect(address) as client:
            send(client, 6, b"unseen")
            send(client, 7, b"seen")
            receive(client, 2)
        out = "\n" + running.end().out.decode()
    assert "unseen" not in out
    shown = [line.split("  ", 1)[1] for line in out.splitlines()[1:] if line[0] != " "]
    assert shown[1:] == [
        "#1 >  at 18  prefix 0xc0deface  size 8  msg_id 7  data: 4 bytes",
        "#1 <  at 14  size 6  msg_id 7  data: 2 bytes",
    ]
    assert shown[0].endswith(f" > {address}")  # named with its first message


def test_environment_variables_set_the_defaults() -> None:
    env = {"VFIIPC_PREFIX": "0x004E4659", "VFIIPC_LIMIT": "5"}
    with started("listen", "0", "--once", env=env) as running:
        with connect(running.line().split()[-1]) as client:
            client.sendall(HELLO + encode(OTHER, 7, b"longer"))
        out = running.end().out.decode()
    assert "prefix 0x004e4659  size 9" in out
    assert "size 10 at 17 is above the limit of 5 bytes" in out


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("VFIIPC_PREFIX", "argument --prefix: invalid prefix: 'x'; use"),
        ("VFIIPC_LIMIT", "argument --limit: invalid number of bytes: 'x'; use"),
    ],
)
def test_a_wrong_default_is_named(
    variable: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, "x")
    assert main(["listen", "0"]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert f"(from {variable})" in err
    assert main(["--help"]) == 0
