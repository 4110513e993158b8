"""``spec/wireshark/vfiipc.lua`` against the vectors."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import captures
from tests.helpers.captures import Segment
from tests.spec import wireshark_example
from tests.spec.changed import changed_message, other_declarations
from tests.spec.travels import FIRST_CLIENT, FIRST_SERVER, STREAMS, WAYS, Stream, capture_of_all
from tests.spec.tshark import (
    ORDERED,
    PLUGIN,
    Part,
    Shown,
    complaints,
    dissect,
    glossary,
    ports_preference,
    run,
    tshark,
)
from tests.spec.vectors import (
    byte_by_byte,
)
from vfiipc.cli import arguments
from vfiipc.codec import HEADER, MESSAGE, Message, encode, encode_header


@pytest.fixture(scope="module")
def all_vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("capture") / "vectors.pcap"
    path.write_bytes(capture_of_all())
    return path


def settings_by_port() -> tuple[str, str]:
    return ports_preference(
        f"{server}={stream.prefix:#010x}/{stream.limit}"
        for server, stream in enumerate(STREAMS, FIRST_SERVER)
    )


def messages(parts: list[Part]) -> list[Message]:
    return [
        Message(HEADER.msg_id.parse(part.fields["msg_id"]), part.fields.get("data", b""))
        for part in parts
        if "msg_id" in part.fields
    ]


def check(stream: Stream, parts: list[Part], *, in_one_piece: bool) -> None:
    expected = stream.expected()
    assert messages(parts) == expected.messages, stream.name
    raw = b"".join(part.raw for part in parts)
    assert stream.data.startswith(raw), stream.name
    undecided = len(stream.data) - len(raw)
    if in_one_piece:
        assert undecided == expected.pending
    assert expected.certain <= len(raw) <= len(stream.data) - expected.pending, stream.name


@pytest.fixture(
    scope="module",
    params=[(), pytest.param(("-2",), marks=pytest.mark.long)],
    ids=["one pass", "two passes"],
)
def shown(request: pytest.FixtureRequest, all_vectors: Path) -> Shown:
    options: Any = request.param
    return dissect(all_vectors, *ORDERED, *settings_by_port(), *options)


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_vectors_are_shown_as_a_receiver_takes_them(
    way: Callable[[Stream], list[Segment]], shown: Shown
) -> None:
    client = FIRST_CLIENT + WAYS.index(way)
    assert len(STREAMS) > 200
    for server, stream in enumerate(STREAMS, FIRST_SERVER):
        check(stream, shown[client, server], in_one_piece=len(way(stream)) <= 1)


# The declaration


def declared(text: str) -> list[tuple[str, ...]]:
    """The rows of the plugin's table: name, bytes, type, byte order, meaning."""
    found = re.search(r"^local DECLARED = \{\n(.*?)^\}$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    rows = re.findall(r"^    \{ (.*) \},$", found[1], re.MULTILINE)
    assert len(rows) == len(found[1].splitlines())
    return [tuple(cell.strip('"') for cell in row.split(", ", 4)) for row in rows]


def row_of(part: Any) -> tuple[str, ...]:
    """The row that a part of the declared message should have."""
    if hasattr(part.subcon, "fmtstr"):
        order, letter = part.subcon.fmtstr
        kind = "signed" if letter.islower() else "unsigned"
        width = str(part.sizeof())
        return part.name, width, kind, {">": "big", "<": "little"}[order], part.docs
    return part.name, "nil", "bytes", "nil", part.docs


def test_the_table_is_what_the_library_declares() -> None:
    rows = declared(PLUGIN.read_text(encoding="utf-8"))
    assert rows == [row_of(part) for part in MESSAGE.subcons]


@pytest.mark.long
def test_the_fields_are_registered_as_declared() -> None:
    lines = [line.split("\t") for line in glossary("fields")]
    fields = {line[2]: line for line in lines if line[2].startswith("vfiipc.")}
    for part in MESSAGE.subcons:
        name, width, kind, _, meaning = row_of(part)
        _, _, _, registered, protocol, _, _, blurb = fields[f"vfiipc.{name}"]
        assert (protocol, blurb) == ("vfiipc", meaning)
        bits = "" if kind == "bytes" else str(8 * int(width))
        kinds = {"signed": "FT_INT", "unsigned": "FT_UINT", "bytes": "FT_BYTES"}
        assert registered == kinds[kind] + bits
    assert "vfiipc.skipped" in fields


@other_declarations
def test_another_declaration_is_noticed(replaced: str, by: str) -> None:
    rows = declared(PLUGIN.read_text(encoding="utf-8"))
    assert rows != [row_of(part) for part in changed_message(replaced, by).subcons]


@pytest.mark.long
def test_the_dissector_follows_its_table(tmp_path: Path) -> None:
    text = PLUGIN.read_text(encoding="utf-8")
    changed = text.replace('{ "size", 4, "unsigned", "big"', '{ "size", 2, "unsigned", "little"')
    assert changed != text
    plugin = tmp_path / "changed.lua"
    plugin.write_text(changed, encoding="utf-8")
    frame = bytes.fromhex("c0deface 0700 fffffffe 616263")
    capture = one_way(tmp_path, frame + frame)
    parts = dissect(capture, "-o", "vfiipc.ports:5000", plugin=plugin)[40000, 5000]
    assert messages(parts) == [(-2, b"abc")] * 2
    assert [part.fields["size"] for part in parts] == [b"\x07\x00"] * 2


# What else a user meets


def one_way(folder: Path, *pieces: bytes) -> Path:
    path = folder / "capture.pcap"
    segments = captures.in_order(pieces)
    path.write_bytes(captures.pcap(captures.connection(40000, 5000, segments)))
    return path


PREFIX = 0xC0DEFACE


def test_both_directions_are_shown_each_by_itself(tmp_path: Path) -> None:
    asked, answered = encode(PREFIX, 1, b"question"), encode(PREFIX, 1, b"answer" * 10)
    there = captures.in_order(byte_by_byte(asked))
    back = captures.in_order(byte_by_byte(answered), is_answer=True)
    mixed = [segment for pair in zip(there, back) for segment in pair] + back[len(there) :]
    path = tmp_path / "both.pcap"
    path.write_bytes(captures.pcap(captures.connection(40000, 5000, mixed)))
    shown = dissect(path, "-o", "vfiipc.ports:5000")
    assert messages(shown[40000, 5000]) == [(1, b"question")]
    assert messages(shown[5000, 40000]) == [(1, b"answer" * 10)]


@pytest.mark.long
def test_decode_as_works(tmp_path: Path) -> None:
    capture = one_way(tmp_path, b"garbage" + encode(PREFIX, 1, b"data"))
    assert dissect(capture) == {}
    shown = dissect(capture, "-d", "tcp.port==5000,vfiipc")
    assert messages(shown[40000, 5000]) == [(1, b"data")]


@pytest.mark.long
def test_connections_are_recognised_by_prefix_and_size(tmp_path: Path) -> None:
    first, other = encode(PREFIX, 1, b"data"), encode(PREFIX, 2, b"more data")
    capture = one_way(tmp_path, first[:9], first[9:], other[:5], other[5:])
    assert messages(dissect(capture)[40000, 5000]) == [(1, b"data"), (2, b"more data")]
    assert dissect(capture, "-o", "vfiipc.guess:FALSE") == {}
    assert dissect(capture, "-o", "vfiipc.limit:3") == {}
    assert dissect(capture, "-o", "vfiipc.prefix:ADKI") == {}


@pytest.mark.long
def test_prefixes_that_begin_with_zeros_are_not_guessed(tmp_path: Path) -> None:
    capture = one_way(tmp_path, encode(1, 1, b"data"))
    assert dissect(capture, "-o", "vfiipc.prefix:1") == {}
    shown = dissect(capture, "-o", "vfiipc.prefix:1", "-o", "vfiipc.ports:5000")
    assert messages(shown[40000, 5000]) == [(1, b"data")]


@pytest.mark.long
@pytest.mark.parametrize("text", ["0x41444B49", "1094994761", "ADKI"])
def test_a_prefix_is_written_as_on_the_command_line(tmp_path: Path, text: str) -> None:
    capture = one_way(tmp_path, encode(arguments.prefix(text), 1, b"data"))
    shown = dissect(capture, "-o", f"vfiipc.prefix:{text}")
    assert messages(shown[40000, 5000]) == [(1, b"data")]


@pytest.mark.long
def test_the_limit_counts_data(tmp_path: Path) -> None:
    stream = encode(PREFIX, 1, b"x" * 1000) + encode(PREFIX, 2, b"x" * 2048)
    counts = {"2048": 2, "2k": 2, "2047": 1, "1K": 1}
    ports = {limit: port for port, limit in enumerate(counts, 5000)}
    packets: list[bytes] = []
    for port in ports.values():
        packets += captures.connection(40000, port, captures.in_order([stream]))
    path = tmp_path / "capture.pcap"
    path.write_bytes(captures.pcap(packets))
    shown = dissect(path, *ports_preference(f"{port}=/{limit}" for limit, port in ports.items()))
    found = {limit: len(messages(shown[40000, port])) for limit, port in ports.items()}
    assert found == counts


@pytest.mark.long
def test_the_defaults_are_those_of_the_command_line() -> None:
    lines = glossary("defaultprefs")
    assert f"#vfiipc.prefix: {arguments.show_prefix(arguments.DEFAULT_PREFIX)}" in lines
    (limit,) = [line for line in lines if line.startswith("#vfiipc.limit: ")]
    assert arguments.limit(limit.split()[1]) == arguments.DEFAULT_LIMIT


NONSENSE = {
    "prefix": ["nonsense", "0x1c0deface"],
    "limit": ["2147483644", "-1"],
    "ports": ["0", "65536", "5000/3", "5000=ADKIS", "5000=ADKI/x"],
}


@pytest.mark.long
@pytest.mark.parametrize("number", range(5))
def test_a_preference_that_makes_no_sense_is_named(tmp_path: Path, number: int) -> None:
    wrong = {name: values[number] for name, values in NONSENSE.items() if number < len(values)}
    options = [word for name in wrong for word in ("-o", f"vfiipc.{name}:{wrong[name]}")]
    said = complaints("-r", str(one_way(tmp_path, b"data")), *options)
    assert len(said) == len(wrong)
    for name, value in wrong.items():
        named = f'vfiipc: the preference {name} has "{value}"; it takes '
        assert [line for line in said if named in line], (named, said)


@pytest.mark.long
def test_why_bytes_were_skipped_is_said(tmp_path: Path) -> None:
    too_large = encode_header(PREFIX, 1, 101)[:8]
    too_small = too_large[:4] + bytes(4)
    capture = one_way(tmp_path, b"garbage" + encode(PREFIX, 1, b"") + too_large + too_small)
    parts = dissect(capture, "-o", "vfiipc.ports:5000=/100")[40000, 5000]
    why = "These bytes belong to no message"
    refused = (
        f"{why}: a prefix with a size of 105, above the limit of 100 bytes of data, and 1 more"
    )
    assert [part.notes for part in parts] == [[why], [], [refused]]


@pytest.mark.long
def test_json_is_shown_as_json_and_nothing_else_is(tmp_path: Path) -> None:
    contents = [b' {"amount": 1250}\n', b"[1, 2]", b"{broken", b"text", b""]
    capture = one_way(tmp_path, b"".join(encode(PREFIX, 1, data) for data in contents))
    words = ("-r", str(capture), "-T", "fields", "-e", "json.value.number", "-e", "vfiipc.size")
    assert tshark(*words).split()[-2:] == ["1250,1,2", "22,10,11,8,4"]
    assert tshark(*words, "-o", "vfiipc.json:FALSE").split()[-1] == "22,10,11,8,4"


@pytest.mark.long
def test_what_a_short_capture_kept_of_a_message_is_shown(tmp_path: Path) -> None:
    packets = captures.connection(
        40000, 5000, captures.in_order([encode(PREFIX, 7, b"x" * 200), encode(PREFIX, 8, b"y")])
    )
    path = tmp_path / "short.pcap"
    path.write_bytes(captures.pcap(packets, snap_length=100))
    cut_off, whole = dissect(path, "-o", "vfiipc.ports:5000")[40000, 5000]
    assert cut_off.fields["msg_id"] == b"\x00\x00\x00\x07"
    assert cut_off.notes == ["Message is not complete: 166 bytes missing"]
    assert messages([whole]) == [(8, b"y")]


@pytest.mark.long
def test_after_a_lost_packet_messages_are_found_again(tmp_path: Path) -> None:
    frames = [encode(PREFIX, number, bytes(50)) for number in range(6)]
    stream = b"".join(frames)
    segments = captures.in_order([stream[at : at + 40] for at in range(0, len(stream), 40)])
    del segments[2]
    path = tmp_path / "lost.pcap"
    path.write_bytes(captures.pcap(captures.connection(40000, 5000, segments)))
    found = messages(dissect(path, "-o", "vfiipc.ports:5000")[40000, 5000])
    assert [message.msg_id for message in found] == [0, 2, 3, 4, 5]


# The page about it

FOLDER = PLUGIN.parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```console\n\$ (.*)\n((?:.*\n)*?)^```$", README, re.MULTILINE)
OURS = re.compile(r"^(?:ADK IPC|    (?:Prefix|Size|Message ID|Skipped): )")


def test_the_example_is_what_its_script_writes() -> None:
    assert wireshark_example.CAPTURE.read_bytes() == wireshark_example.content()


@pytest.mark.long
@pytest.mark.parametrize(("command", "output"), COMMANDS)
def test_the_page_shows_what_tshark_prints(
    command: str, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    name, *words = shlex.split(command)
    assert name == "tshark"
    printed = run(*words).stdout
    if "TShark (Wireshark) 4.0." in run("--version").stdout:
        assert printed == output
    else:  # another version may describe TCP in other words
        assert list(filter(OURS.match, printed.splitlines())) == list(
            filter(OURS.match, output.splitlines())
        )


def test_the_page_names_every_field_and_preference() -> None:
    assert len(COMMANDS) >= 3
    names = {line.split("\t")[2] for line in glossary("fields") if "\tvfiipc" in line}
    preferences = {
        line.strip("#").partition(":")[0]
        for line in glossary("defaultprefs")
        if line.startswith("#vfiipc.")
    }
    assert len(names) >= 7
    assert len(preferences) >= 5
    for named in names - {"vfiipc"} | preferences:
        assert f"`{named}`" in README
