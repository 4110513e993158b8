from __future__ import annotations

import json
import traceback
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.cost import quickest
from vfiipc.notify.json_members import MalformedPayload, members_of
from vfiipc.notify.messages import (
    GROWTH,
    MAX_PAYLOAD,
    Notify,
    UnicastError,
    check_application,
    check_flags,
    check_id,
    check_parameter,
    check_priority,
    decode,
    encode,
)

SECRET = "4111111111111111"

numbers = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "-"]),
        st.sampled_from(["0", "1", "100", "123456789012345678901234567890"]),
        st.sampled_from(["", ".0", ".10", ".000"]),
        st.sampled_from(["", "e0", "E+400", "e-05"]),
    ),
)
spaces = st.text(" \t\r\n", max_size=3)
plain = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=9
)
strings = plain.map('"{}"'.format) | st.text('aé\n"\\😀', max_size=9).map(json.dumps)
#: JSON texts in every spelling that the grammar has.
texts = st.recursive(
    numbers | strings | st.sampled_from(["true", "false", "null", "[]", "{ }", r'"\/\ud800"']),
    lambda inner: (
        st.builds(
            lambda items, space: f"[{space}{f'{space},'.join(items)}{space}]",
            st.lists(inner, min_size=1, max_size=4),
            spaces,
        )
        | st.builds(
            lambda pairs, space: "{" + f",{space}".join(f"{k}{space}:{v}" for k, v in pairs) + "}",
            st.lists(st.tuples(strings, inner), max_size=4),
            spaces,
        )
    ),
    max_leaves=20,
)
applications = st.text('aé\n"\\/\x1b\x7f\u2028😀1*', min_size=1, max_size=60).filter(
    lambda text: text not in ("1", "*")
)


@given(texts, spaces)
def test_a_parameter_passes_byte_for_byte(text: str, space: str) -> None:  # NFY-M7
    parameter = text.encode()
    payload = b'{"parameter":%b%b%b,"type":"notify","to":"1","from":"a","notification":"b"%b}' % (
        *(space.encode(), parameter, space.encode()),
        space.encode(),
    )
    message = decode(payload)
    assert message == Notify("a", "1", "b", parameter)
    forwarded = decode(encode(Notify("a", "1", "b", parameter, 0, 2**53 - 1)))
    assert isinstance(forwarded, Notify)
    assert forwarded.parameter == parameter
    assert check_parameter(space.encode() + parameter + space.encode()) == parameter


@given(
    st.builds(Notify, applications, applications, applications, texts.map(str.encode)),
    st.booleans(),
)
def test_ids_survive_and_the_payload_grows_little(notify: Notify, ascii_only: bool) -> None:
    members = {
        "from": notify.sender,
        "to": notify.to,
        "notification": notify.notification,
        "type": "notify",
    }
    head = json.dumps(members, ensure_ascii=ascii_only, separators=(",", ":"))
    shortest = f'{head[:-1]},"parameter":'.encode() + notify.parameter + b"}"
    assert decode(shortest) == notify
    longest = Notify(**{**vars(notify), "reference": 2**53 - 1, "flags": 0})
    assert len(encode(longest)) <= len(shortest) + GROWTH  # NFY-M9
    error = UnicastError(**vars(notify))
    assert decode(encode(error)) == error != notify


@given(st.text(alphabet='[]{},:"\\ \n01-+.eEtrufalsn\tŻ', max_size=30))
def test_an_object_is_what_the_standard_library_takes_for_one(text: str) -> None:
    def refuse(name: str) -> None:
        raise ValueError(name)

    for payload in (text, "{" + text + "}", '{"a":' + text + "}", '{"\\u0061":' + text + ',"b":1}'):
        try:
            whole = json.loads(payload, parse_constant=refuse, parse_float=str, parse_int=str)
        except ValueError:
            whole = None
        if isinstance(whole, dict):
            found = members_of(payload.encode())
            assert len(found) == len(whole)
            for name, value in whole.items():
                raw = found.raw(name)
                assert json.loads(raw, parse_float=str, parse_int=str) == value
        else:
            with pytest.raises(MalformedPayload):
                members_of(payload.encode())


@pytest.mark.parametrize(
    "payload",
    [
        f'{{"type":"notify","card":"{SECRET}"'.encode(),
        f'{{"type":"notify","from":"{SECRET}","to":1}}'.encode(),
        f'{{"type":"notify","parameter":"{SECRET}\x01"}}'.encode(),
        f'["{SECRET}"]'.encode(),
        b'"' + SECRET.encode() + b"\xff",
    ],
)
def test_a_fault_shows_nothing_of_the_payload(payload: bytes) -> None:  # NFY-L2
    with pytest.raises(MalformedPayload) as caught:
        decode(payload)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "text", [b"", b" ", b"1,", b'1,"x":2', b"1}", b"NaN", b"[", b"'a'", b"\xff"]
)
def test_what_is_not_one_json_value(text: bytes) -> None:
    with pytest.raises(MalformedPayload):
        check_parameter(text)


def test_values_are_checked() -> None:  # NFY-M5, NFY-M6
    assert check_id("é" * 127 + "x", "to") == "é" * 127 + "x"
    assert check_id("*", "to") == "*"
    for wrong in ("", "é" * 128, "\ud800"):
        with pytest.raises(ValueError, match=r"^to (has|contains)"):
            check_id(wrong, "to")
    for wrong in ("1", "*"):
        with pytest.raises(ValueError, match="means any or all"):
            check_application(wrong, "app_id")
    assert check_priority(-(2**31)) == -(2**31)
    assert check_flags(2**32 - 1) == 2**32 - 1
    for check, value in ((check_priority, 2**31), (check_flags, -1), (check_flags, 2**32)):
        with pytest.raises(ValueError, match=rf"^(priority|flags) is {value}, but must be in "):
            check(value)
    with pytest.raises(ValueError, match=r"^flags is far out of range, but must be in "):
        check_flags(10**5000)
    for bad in (True, "1", 1.0, None):
        with pytest.raises(TypeError, match="must be an int"):
            check_priority(bad)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="must be a str"):
            check_id(1, "to")  # type: ignore[arg-type]


HOSTILE = {
    "brackets": lambda size: b'{"type":' + b"[" * size + b"}",
    "objects": lambda size: b'{"x":[' + b"{}," * (size // 3) + b"1]}",
    "keys": lambda size: b"{" + b'"":0,' * (size // 5) + b'"type":1}',
    "escapes": lambda size: b'{"type":"' + rb"\"" * (size // 2) + b'"}',
    "an open string": lambda size: b'{"type":"' + rb"\"" * (size // 2),
    "quotes": lambda size: b'{"type":' + b'"' * size,
    "space": lambda size: b'{"type"' + b" " * size,
    "digits": lambda size: b'{"type":' + b"1" * size,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_worst_payload_costs_what_its_length_says(kind: str) -> None:
    def cost(size: int) -> float:
        payload = HOSTILE[kind](size)

        def read() -> None:
            for _ in range(MAX_PAYLOAD // size):
                with suppress(MalformedPayload):
                    decode(payload)

        return quickest(read)

    # The same bytes in 16 payloads, or in one: quadratic work would take 16 times as long.
    assert cost(MAX_PAYLOAD) < 6 * cost(MAX_PAYLOAD // 16) + 0.02
