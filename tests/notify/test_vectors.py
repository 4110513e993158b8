"""Every case of ``spec/vectors/notify``, run as ``spec/vectors/README.md`` says."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.spec.vectors import SPEC, Case
from vfiipc.codec import encode as frame
from vfiipc.notify.actions import Action, Deliver, Observed, Refused, TellUndeliverable
from vfiipc.notify.allow import ConfigError, ResultCode, parse_allow_list
from vfiipc.notify.json_members import MalformedPayload
from vfiipc.notify.messages import (
    PREFIX,
    Notify,
    Observation,
    Observe,
    Register,
    UnicastError,
    Unregister,
    decode,
    encode,
)
from vfiipc.notify.router import Router

FOLDER = SPEC / "vectors" / "notify"
FILES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
CASES = [case for file in FILES.values() for case in file["cases"]]
VALIDATOR = Draft202012Validator(json.loads((SPEC / "notify.schema.json").read_text("utf-8")))


def cases(*kinds: str) -> list[Any]:
    chosen = [pytest.param(case, id=case["id"]) for case in CASES if case["kind"] in kinds]
    assert chosen
    return chosen


def test_the_files_keep_to_the_schema_and_count() -> None:
    Draft202012Validator.check_schema(VALIDATOR.schema)
    for name, content in FILES.items():
        assert [error.message[:300] for error in VALIDATOR.iter_errors(content)] == [], name
        assert content["group"] == name
        assert content["count"] == len(content["cases"])
    assert set(FILES) == {"messages", "allow", "routing"}
    assert max(Counter(case["id"] for case in CASES).values()) == 1


def test_the_files_and_the_document_have_one_version() -> None:
    prose = (SPEC / "notify.md").read_text("utf-8")
    found = re.search(r"^Version (\S+), (\d{4}-\d\d-\d\d)\.", prose, re.MULTILINE)
    assert found is not None
    assert {(each["version"], each["date"]) for each in FILES.values()} == {found.groups()}


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        repeated: str = text_of(value["repeat"]) * value["count"]
        return repeated
    return "".join(map(text_of, value))


def payload_of(case: Case) -> bytes:
    return bytes.fromhex(case["bytes"]) if "bytes" in case else text_of(case["text"]).encode()


def message_of(fields: Case) -> Any:
    kind = fields["type"]
    if kind == "register":
        return Register(fields["to"], fields["notification"], fields["priority"])
    if kind == "unregister":
        return Unregister(fields["to"], fields["notification"])
    if kind in ("observe", "unobserve"):
        return Observe(kind == "observe")
    ids = (fields["from"], fields["to"], fields["notification"])
    if kind == "observation":
        return Observation(*ids, fields["flags"])
    rest = (text_of(fields["parameter"]).encode(), fields["flags"], fields.get("reference", 0))
    return (Notify if kind == "notify" else UnicastError)(*ids, *rest)


# Messages


@pytest.mark.parametrize("case", cases("frame"))
def test_a_published_frame(case: Case) -> None:
    published = bytes.fromhex(case["frame"])
    message = message_of(case["message"])
    assert frame(PREFIX, 0, encode(message)) == published
    assert decode(published[12:]) == message


@pytest.mark.parametrize("case", cases("message"))
def test_a_message(case: Case) -> None:
    message = message_of(case["message"])
    assert decode(payload_of(case)) == message
    assert decode(encode(message)) == message


@pytest.mark.parametrize("case", cases("unknown"))
def test_an_unknown_type(case: Case) -> None:
    assert decode(payload_of(case)) is None


@pytest.mark.parametrize("case", cases("malformed"))
def test_a_malformed_payload(case: Case) -> None:
    with pytest.raises(MalformedPayload) as caught:
        decode(payload_of(case))
    assert caught.value.__cause__ is None
    assert len(str(caught.value)) < 100


# Allow lists


@pytest.mark.parametrize("case", cases("allow"))
def test_an_allow_list(case: Case) -> None:
    found = parse_allow_list("\n".join(case["lines"]))
    assert found is not None
    assert list(found.interfaces) == case["interfaces"]
    for check in case["checks"]:
        passes = found.allows_in if check["direction"] == "in" else found.allows_out
        ids = (check["from"], check["to"], check["notification"])
        assert passes(*ids) == check["passes"], check


@pytest.mark.parametrize("case", cases("no-rules"))
def test_no_rules(case: Case) -> None:
    assert parse_allow_list("\n".join(case["lines"])) is None


@pytest.mark.parametrize("case", cases("config-error"))
def test_a_wrong_line(case: Case) -> None:
    with pytest.raises(ConfigError, match=f"^notify.cfg, line {case['line']}: ") as caught:
        parse_allow_list("\n".join(case["lines"]), "notify.cfg")
    assert caught.value.line == case["line"]
    assert caught.value.code == ResultCode.NOTIFY_ERR_CONFIG_SYNTAX == case["code"]
    assert "in|out FROM TO NOTIFICATION-ID" in str(caught.value)


# Routing


class Route:
    def __init__(self, lines: list[str]) -> None:
        self.router = Router(parse_allow_list("\n".join(lines)), first_reference=1 << 40)
        self.numbers: dict[str, int] = {}
        self.last: Deliver | None = None
        self.notify: Notify | None = None

    def run(self, step: Case) -> None:
        if step["do"] == "join":
            self.numbers[step["client"]] = self.router.join(local=step["local"])
            return
        actions = self.act(step, self.numbers[step["client"]])
        deliveries = [each for each in actions if isinstance(each, Deliver)]
        if deliveries:
            self.last = deliveries[0]
        if "result" in step:
            expected = sorted(map(self.expected, step["result"]))
            assert sorted(map(self.found, actions)) == expected, step

    def act(self, step: Case, number: int) -> list[Action]:
        router, do = self.router, step["do"]
        if do == "register":
            wish = Register(step["to"], step["notification"], step["priority"])
            router.register(number, wish)
        elif do == "register-many":
            for each in range(step["count"]):
                router.register(number, Register(f"filler {each}", "filler"))
        elif do == "unregister":
            router.unregister(number, Unregister(step["to"], step["notification"]))
        elif do in ("observe", "unobserve"):
            router.observe(number, wanted=do == "observe")
        elif do == "notify":
            notify = Notify(step["from"], step["to"], step["notification"], b"1.10")
            return router.notify(number, notify)
        elif do == "return":
            assert self.last is not None
            back = decode(self.last.payload)
            assert isinstance(back, Notify)
            return router.notify(number, back)
        elif do == "gone":
            unsent = [self.last] if "unsent" in step and self.last is not None else []
            return router.gone(number, unsent)
        return []

    def expected(self, result: Case) -> str:
        where = {
            key: self.numbers[value]
            if key in ("delivery", "unicast_error", "observation")
            else value
            for key, value in result.items()
        }
        return json.dumps(where, sort_keys=True)

    def found(self, action: Action) -> str:
        if isinstance(action, Deliver):
            what: Case = {"delivery": action.client, "receivers": list(action.receivers)}
        elif isinstance(action, TellUndeliverable):
            assert b'"parameter":1.10' in encode(action.error)
            what = {"unicast_error": action.client}
        elif isinstance(action, Observed):
            (observer,) = action.clients
            what = {"observation": observer, "to": action.observation.to}
        else:
            assert isinstance(action, Refused)
            what = {"refused": action.direction}
        return json.dumps(what, sort_keys=True)


@pytest.mark.parametrize("case", cases("route"))
def test_a_route(case: Case) -> None:
    route = Route(case.get("lines", []))
    for step in case["steps"]:
        route.run(step)
