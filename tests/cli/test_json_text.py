from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfiipc.cli.json_text import NotJSON, laid_out, on_one_line

VALID = [
    b"0",
    b"-0.50e+07",
    b'""',
    b"null",
    b" [ ] ",
    b"{}",
    b'[{}, [], {"a": []}]',
    b'{"a": {"a": 1, "a": 2}, "": true}',
    b'["\\u0041\\ud800\\/\\b", false, 1e999, 100.00]',
    '["Grüße €😀\x7f"]'.encode(),
    b"\t\r\n [1\n,\r2\t] ",
]
NOT_JSON = [
    b"",
    b" ",
    b"[",
    b"[1",
    b"[1,",
    b"[1,]",
    b"[,1]",
    b"[1 2]",
    b"[1]]",
    b"[1]x",
    b"[1}",
    b'{"a"}',
    b'{"a":}',
    b'{"a":1,}',
    b'{"a":1:2}',
    b"{1:2}",
    b"{,}",
    b"[01]",
    b"[+1]",
    b"[.5]",
    b"[1.]",
    b"[1e]",
    b"[-]",
    b"[NaN]",
    b"[Infinity]",
    b"[-Infinity]",
    b"[True]",
    b"[nul]",
    b"nullnull",
    b"['a']",
    b'["a]',
    b'["\\x41"]',
    b'["\\u00g0"]',
    b'["\\"]',
    b'["\t"]',
    b'["\x00"]',
    b"[1]\x00",
    b"[1]\x0b",
    b"[1]//",
    b"\xef\xbb\xbf[1]",
    b'["\xff"]',
    b'["\xed\xa0\x80"]',  # half a surrogate pair in UTF-8
    b'["\xc0\xaf"]',
    "[1\u00a0]".encode(),
    "[\u0661]".encode(),
]


def _pairs(data: bytes | bytearray) -> Any:
    """The value with everything that a dictionary and a float would lose."""
    return json.loads(
        data.decode(), object_pairs_hook=list, parse_float=str, parse_constant=lambda name: {name}
    )


@pytest.mark.parametrize("text", VALID)
def test_json_keeps_its_text(text: bytes) -> None:
    for made in (laid_out(text, len(text)), on_one_line(text)):
        assert _pairs(made) == _pairs(text)
        assert b"".join(made.split()) == b"".join(text.split())
    assert b"\n" not in on_one_line(text)


@pytest.mark.parametrize("text", NOT_JSON)
def test_what_is_not_json(text: bytes) -> None:
    with pytest.raises(NotJSON):
        laid_out(text, len(text))
    with pytest.raises(NotJSON):
        on_one_line(text)


def test_numbers_keys_and_escapes_stay() -> None:
    text = b'{"amount":100.00,"a":1,"a":2,"\\u0041":[1e999,-0.0],"e":{},"f":[[]]}'
    assert laid_out(text, len(text)).decode().splitlines() == [
        "{",
        '  "amount": 100.00,',
        '  "a": 1,',
        '  "a": 2,',
        '  "\\u0041": [',
        "    1e999,",
        "    -0.0",
        "  ],",
        '  "e": {},',
        '  "f": [',
        "    []",
        "  ]",
        "}",
    ]
    assert on_one_line(b'{"a":[1,2.50], "a":{}}') == b'{"a": [1, 2.50], "a": {}}'


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=25,
)


@given(values, st.sampled_from([None, 0, 1, "\t"]), st.booleans())
def test_it_is_laid_out_as_the_standard_library_does(
    value: object, indent: Any, ascii_alone: bool
) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_alone).encode()
    expected = json.dumps(value, indent=2, ensure_ascii=ascii_alone)
    assert laid_out(data, len(data)).decode() == expected
    assert on_one_line(data).decode() == json.dumps(value, ensure_ascii=ascii_alone)


@given(st.text(alphabet='[]{},:"\\ \n01-+.eEtrufalsn\tŻ', max_size=30))
def test_it_agrees_with_the_standard_library(text: str) -> None:
    data = text.encode()

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        with pytest.raises(NotJSON):
            on_one_line(data)
    else:
        assert _pairs(on_one_line(data)) == _pairs(data)


@pytest.mark.parametrize("text", [text for text in VALID if text[:1] in b"[{"])
def test_a_text_may_be_cut_off_anywhere(text: bytes) -> None:
    whole = laid_out(text, len(text))
    for stop in range(len(text)):
        part = laid_out(text, stop)
        assert whole.startswith(part)
        assert b"".join(part.split()) == b"".join(text[:stop].split())


@pytest.mark.parametrize("text", [b"[1,}..", b"[1.e5]..", b"[tx]..", b'["\\x"]..', b'{"a",..'])
def test_a_fault_before_the_cut_is_found(text: bytes) -> None:
    with pytest.raises(NotJSON):
        laid_out(text, len(text) - 1)


@pytest.mark.long
def test_any_depth() -> None:
    text = b"[" * 100_000 + b"1, 2" + b"]" * 100_000
    assert b"".join(laid_out(text, len(text)).split()) == b"".join(text.split())
    assert len(laid_out(text, len(text))) < 2 * len(text)
    assert on_one_line(text) == text
    with pytest.raises(NotJSON):
        on_one_line(text[:-1])
    deep = b'{"a": ' * 40 + b"1" + b"}" * 40
    assert laid_out(deep, len(deep)).count(b"\n") == 32
