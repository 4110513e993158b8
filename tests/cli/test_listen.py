from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.program import Running, connect, receive, run, send, started
from vfiipc.__main__ import main
from vfiipc.cli.answers import Answers, Rule, read_rules
from vfiipc.codec import Framer, Message, encode
from vfiipc.faults import Action, End, Send, Wait
from vfiipc.testing import Reaction


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


def answer_to(rules: list[Rule], message: Message) -> Message | None:
    """The one message that is sent in answer; None for nothing."""
    sent = [
        action.data
        for action in Answers(rules).actions(message, OTHER, 100)
        if isinstance(action, Send)
    ]
    framer = Framer(OTHER, 1000)
    framer.receive_data(b"".join(sent))
    messages = framer.drain()
    assert len(messages) <= 1
    assert not framer.pending
    return messages[0] if messages else None


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
    both = [Rule(Reaction().answer(b"first")), Rule(Reaction().answer(b"second"))]
    assert answer_to(both, Message(0, b"")) == (0, b"first")


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ("{", "is not JSON"),
        ("\xff", "is not JSON"),
        ("[" * 200_000, "rules.json is nested too deeply"),
        ('[{"answer": NaN}]', "is not JSON: NaN is not a JSON value"),
        ('[{"answer": "\\ud800"}]', "rule 1: answer contains an unpaired surrogate"),
        (
            '[{"answer": "a", "matches": "\\ud800"}]',
            "rule 1: matches contains an unpaired surrogate",
        ),
        ('[{"answer": "a", "matches": 5}]', "rule 1: matches must be a string"),
        ('[{"answer": "a", "matches": "a{99999999999}"}]', "the repetition number is too large"),
        (
            json.dumps([{"answer": "a", "matches": "(" * 9999 + ")" * 9999}]),
            "rule 1: matches is too large a regular expression",
        ),
        ('[{"answer": "a", "id": 7.0}]', "rule 1: id must be a whole number, not 7.0"),
        ('[{"answer": "a", "id": true}]', "rule 1: id must be a whole number"),
        ("{}", "must be an array of rules"),
        ("[1]", "rule 1: must be an object"),
        ('[{"answer": "a"}, {"anser": "b"}]', "rule 2: 'anser' is unknown; allowed: answer, "),
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
    assert second.startswith("vfiipc listen: cannot listen on 192.0.2.1:5000: ")
    assert third.startswith("vfiipc listen: cannot listen on pipe:///no/such/folder/x: ")


# --- answers in several steps, and bad ones -------------------------------------------------------


def _actions(rules: object, *messages: Message, path: Path) -> list[list[Action]]:
    path.write_text(json.dumps(rules))
    answers = Answers(read_rules(str(path)))
    return [list(answers.actions(message, OTHER, 100)) for message in messages]


def test_a_rule_can_do_what_the_scripted_peer_can(tmp_path: Path) -> None:
    one = encode(OTHER, 5, b"one")
    rule: dict[str, object] = {
        "steps": [
            {"delay": 0.5, "garbage_hex": "00 ff"},
            {"answer": "one", "answer_id": 5, "pieces": [12], "pause": 0.25},
            {"answer": "two", "damage": {"0": 255}, "cut": 4, "answer_id": 0},
        ]
    }
    (done,) = _actions([rule], Message(1, b""), path=tmp_path / "rules")
    assert done == [
        Wait(0.5),
        Send(b"\x00\xff"),
        Send(one[:12]),
        Wait(0.25),
        Send(one[12:]),
        Send(b"\xff" + encode(OTHER, 0, b"two")[1:4]),
        End("close"),
    ]
    rule = {"answer_hex": "", "wrong_prefix": "ADKI", "delay": 1, "reset": True}
    (done,) = _actions([rule], Message(1, b""), path=tmp_path / "rules")
    assert done == [Wait(1.0), Send(b"ADKI" + encode(OTHER, 1, b"")[4:]), End("reset")]
    rules = [{"answer": "", "oversize": True, "silence": True}]
    (done,) = _actions(rules, Message(1, b""), path=tmp_path / "rules")
    assert done == [Send(encode(OTHER, 1, bytes(101))), End("silence")]


def test_rules_answer_one_after_the_other(tmp_path: Path) -> None:
    rules = [{"answer": "busy", "times": 2}, {"answer": "ready"}]
    done = _actions(rules, *[Message(1, b"")] * 3, path=tmp_path / "rules")
    texts = [action.data[12:] for (action,) in done if isinstance(action, Send)]
    assert texts == [b"busy", b"busy", b"ready"]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"steps": []}, "steps must be an array of objects"),
        ({"steps": [1]}, "rule 1, step 1: must be an object"),
        ({"steps": [{"answer": "a"}], "delay": 1}, "delay and steps exclude each other"),
        ({"steps": [{"id": 1}]}, "rule 1, step 1: 'id' is unknown"),
        ({"delay": "soon", "answer": "a"}, 'delay: must be a number, not "soon"'),
        ({"delay": -1, "answer": "a"}, "delay is -1.0, but must be in 0..1,000,000,000 seconds"),
        ({"pieces": 0, "answer": "a"}, "pieces: pieces is 0, but must be 1 or more"),
        ({"pieces": 3}, "needs either answer or answer_hex"),
        ({"pause": 1, "answer": "a"}, "pause: needs pieces"),
        ({"slow": 0, "answer": "a"}, "slow: bytes_per_second is 0.0, but must be above 0"),
        ({"damage": {"x": 1}, "answer": "a"}, "damage: invalid literal"),
        ({"damage": [1], "answer": "a"}, "damage: must be an object such as"),
        ({"cut": 99, "answer": "a"}, "at=99 is beyond the end of the answer, which has 13 bytes"),
        ({"cut": 5}, "cut: this changes an answer, so it must come after"),
        ({"delay": {}, "answer": "a"}, "delay: must be a number, not an object"),
        ({"cut": "x" * 100, "answer": "a"}, f'cut: must be a whole number, not "{"x" * 39}...'),
        ({"close": False}, "close: can only be true, not false"),
        ({"garbage_hex": 5}, "garbage_hex: "),
        ({"wrong_prefix": "x", "answer": "a"}, "wrong_prefix: invalid prefix: 'x'"),
        ({"answer": "a", "times": 0}, "times must be a whole number above 0, not 0"),
    ],
)
def test_bad_steps_are_named(
    rule: dict[str, object], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules.json").write_text(json.dumps([rule]))
    assert main(["listen", "--answers", str(tmp_path / "rules.json")]) == 2
    assert says in capsys.readouterr().err


def test_bad_answers_are_sent_and_printed(tmp_path: Path) -> None:
    rules = [
        {"id": 1, "delay": 0.01, "answer": "one", "pieces": 5},
        {"id": 2, "steps": [{"silence": True}, {"answer": "never"}]},
        {"id": 3, "answer": "cut", "reset": 13},
    ]
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    with _listening("--answers", str(tmp_path / "rules.json")) as (running, address):
        with connect(address) as client:
            send(client, 1, b"")
            assert receive(client) == [(1, b"one")]
            send(client, 2, b"")
            send(client, 1, b"")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""  # silent until the end
        with connect(address) as client:
            send(client, 3, b"")
            assert _is_reset(client)
        lines = [running.line()]
        while "ended by an answer: reset" not in lines[-1]:
            lines.append(running.line())
    assert lines[-2].endswith("message 3 cut off: 13 of 15 bytes")


def _is_reset(connection: socket.socket) -> bool:
    try:
        while connection.recv(100):
            pass
    except ConnectionResetError:
        return True
    return False


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
        assert "33 bytes, no message; this looks like TLS: try a tls://" in running.end().err


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
