"""Addresses with a scheme, as text (``vfiipc.connect``, ``serve``)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfiipc.transport.addresses import Address, parse

GOOD = [
    ("tcp://127.0.0.1:5500", Address("tcp", "127.0.0.1", 5500)),
    ("127.0.0.1:5500", Address("tcp", "127.0.0.1", 5500)),
    ("terminal.example:1", Address("tcp", "terminal.example", 1)),
    ("TLS://terminal.example:65535", Address("tls", "terminal.example", 65535)),
    ("tcp://[::1]:5500", Address("tcp", "::1", 5500)),
    ("[fe80::1%eth0]:5500", Address("tcp", "fe80::1%eth0", 5500)),
    ("pipe:///run/a b?c%20:1", Address("pipe", path="/run/a b?c%20:1")),
    ("pipe://@name", Address("pipe", path="\0name")),
]


@pytest.mark.parametrize(("text", "address"), GOOD)
def test_reads_an_address(text: str, address: Address) -> None:  # CON-A1
    assert parse(text) == address
    assert parse(text, listening=True) == address


@pytest.mark.parametrize(("text", "address"), GOOD)
def test_writes_what_it_reads(text: str, address: Address) -> None:
    assert parse(str(address)) == address


def test_a_server_may_be_given_a_descriptor() -> None:  # CON-A6
    assert parse("fd://3", listening=True) == Address("fd", fd=3)
    assert parse("FD://0", listening=True).fd == 0
    assert str(Address("fd", fd=3)) == "fd://3"
    with pytest.raises(ValueError, match="only a server"):
        parse("fd://3")


@pytest.mark.parametrize("text", ["fd://", "fd://-1", "fd://x", "fd://٣", "fd://" + "9" * 30])
def test_a_descriptor_is_a_number(text: str) -> None:
    with pytest.raises(ValueError, match="number of a descriptor, as in fd://3"):
        parse(text, listening=True)


BAD = [
    ("", "invalid address"),
    ("127.0.0.1", "no port in"),
    ("tcp://terminal", "no port in"),
    ("[::1]", "no port in"),
    ("terminal:", "invalid address"),
    ("terminal:http", "'http' is not a port"),
    ("127.0.0.1:80x", "'80x' is not a port"),
    ("terminal:80/path", "invalid address"),
    ("a b:80", "invalid address"),
    ("::1:5500", "brackets"),
    (":5500", "no host in"),
    ("tcp://:5500", "no host in"),
    ("terminal:0", "1..65535"),
    ("terminal:65536", "1..65535"),
    ("terminal:99999999999999999999", "1..65535"),
    ("terminal:٣", "invalid address"),
    ("udp://terminal:80", "invalid address"),
    ("pipe://", "absolute path"),
    ("pipe:///", "absolute path"),
    ("pipe://run/name", "absolute path"),
    ("pipe://@", "absolute path"),
    ("pipe:///run/\0name", "NUL"),
]


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_says_what_is_wrong_and_what_is_allowed(text: str, reason: str) -> None:
    # CON-A2, CON-A3, CON-A4
    with pytest.raises(ValueError, match=re.escape(repr(text))) as caught:
        parse(text)
    assert reason in str(caught.value)


def test_an_address_is_text() -> None:
    with pytest.raises(TypeError, match="must be a str, not tuple"):
        parse(("127.0.0.1", 5500))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "reachable"),
    [
        ("tcp://127.0.0.1:0", "tcp://127.0.0.1:5500"),
        ("tcp://:0", "tcp://127.0.0.1:5500"),
        (":0", "tcp://127.0.0.1:5500"),
        ("0.0.0.0:0", "tcp://127.0.0.1:5500"),
        ("[::]:0", "tcp://[::1]:5500"),
        ("tls://localhost:0", "tls://localhost:5500"),
        ("pipe:///run/name", "pipe:///run/name"),
    ],
)
def test_a_listening_address_becomes_one_to_connect_to(text: str, reachable: str) -> None:  # CON-A5
    assert str(parse(text, listening=True).reachable(5500)) == reachable
    assert parse(reachable)


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        address = parse(text, listening=True)
    except ValueError:
        return
    assert parse(str(address), listening=True) == address
