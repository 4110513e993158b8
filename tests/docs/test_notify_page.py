"""The page about notifications names every function of the original, and what takes its place."""

from __future__ import annotations

import inspect
import re

from tests.docs.pages import DOCS
from vfiipc import notify
from vfiipc.notify import Client, Notification, ResultCode, blocking

PAGE = (DOCS / "guides" / "notify.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## Coming from the C++ library")[2]
FUNCTIONS = [
    "ipcSetAppID",
    "ipcGetAppID",
    "ipcNotify",
    "ipcRegisterNotificationCB",
    "ipcUnregisterNotificationCB",
    "ipcRegisterUnicastError",
    "ipcUnregisterUnicastError",
    "ipcRegisterObserver",
    "ipcUnregisterObserver",
    "ipcNotificationServer",
]


def test_every_function_and_code_of_the_original_has_its_place() -> None:
    there = " ".join(line.split("|")[1] for line in TABLE.splitlines() if line.startswith("| "))
    assert set(FUNCTIONS) == set(re.findall(r"\bipc\w+", there))
    assert {code.name for code in ResultCode} == set(re.findall(r"NOTIFY_\w+", there))


def test_what_takes_its_place_exists() -> None:
    members = set(re.findall(r"`client\.(\w+)", TABLE))
    assert {"send", "register", "unregister", "observe", "on_unicast_error"} <= members
    for name in members:
        assert hasattr(Client, name)
        assert hasattr(blocking.Client, name)
    for name in re.findall(r"`notify\.(\w+)", PAGE):
        assert hasattr(notify, name)
    for name in ("sender", "to", "id", "parameter", "flags"):
        assert hasattr(Notification, name)


def test_both_clients_have_the_same_members_and_arguments() -> None:
    own = {name for name in vars(blocking.Client) if not name.startswith("_")}
    other = {name for name in vars(Client) if not name.startswith("_")}
    assert own - other == {"wait_connected"}
    assert other - own == {"start", "wait_closed"}
    for name in own & other:
        ours, theirs = getattr(blocking.Client, name), getattr(Client, name)
        if callable(ours):
            parameters = [list(inspect.signature(each).parameters) for each in (ours, theirs)]
            same = [[{"callback": "handler"}.get(p, p) for p in each] for each in parameters]
            assert same[0] == same[1], name
