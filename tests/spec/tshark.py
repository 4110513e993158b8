"""Runs tshark with the dissector of ``spec/wireshark`` over captures."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from tests.helpers.requirements import program
from tests.spec.vectors import SPEC

PLUGIN = SPEC / "wireshark" / "vfiipc.lua"
TIMEOUT = 50
# Segments that overtake each other are put in order only on demand.
ORDERED = ("-o", "tcp.reassemble_out_of_order:TRUE")


class Part(NamedTuple):
    """What the dissector shows as one tree: its fields, raw, in order; notes; which packet."""

    fields: dict[str, bytes]
    notes: list[str]
    packet: int

    @property
    def raw(self) -> bytes:
        return b"".join(self.fields.values())


Shown = dict[tuple[int, int], list[Part]]


def tshark(*arguments: str, plugin: Path = PLUGIN) -> str:
    """What tshark prints; it has to succeed, and to complain of nothing."""
    done = _run(*arguments, plugin=plugin)
    assert (done.returncode, _complaints(done.stderr)) == (0, [])
    return done.stdout


def complaints(*arguments: str) -> list[str]:
    """The lines that tshark prints as errors and warnings."""
    return _complaints(_run(*arguments, plugin=PLUGIN).stderr)


def dissect(capture: Path, *arguments: str, plugin: Path = PLUGIN) -> Shown:
    """What is shown of each direction, by source and target port."""
    layers = "geninfo tcp vfiipc"  # the others would double the text to be parsed
    form = ("-T", "pdml", "-Y", "vfiipc", "-J", layers)
    xml = tshark("-r", str(capture), *form, *arguments, plugin=plugin)
    shown: Shown = defaultdict(list)
    for packet in ElementTree.fromstring(xml).iter("packet"):
        protocols = packet.findall("proto")
        tcp = next(proto for proto in protocols if proto.get("name") == "tcp")
        ports = (int(_show(tcp, "tcp.srcport")), int(_show(tcp, "tcp.dstport")))
        general = next(proto for proto in protocols if proto.get("name") == "geninfo")
        number = int(_show(general, "num"))
        shown[ports] += [
            _part(proto, number) for proto in protocols if proto.get("name") == "vfiipc"
        ]
    return shown


@cache
def glossary(name: str) -> list[str]:
    """One of tshark's reports on itself, with the dissector installed as a user's plugin."""
    done = run("-G", name, plugins=PLUGIN)
    assert (done.returncode, _complaints(done.stderr)) == (0, [])
    return done.stdout.splitlines()


def ports_preference(settings: Iterable[str]) -> tuple[str, str]:
    return "-o", f"vfiipc.ports:{','.join(settings)}"


def _run(*arguments: str, plugin: Path) -> subprocess.CompletedProcess[str]:
    return run("-n", "-X", f"lua_script:{plugin}", *arguments)


def run(*arguments: str, plugins: Path | None = None) -> subprocess.CompletedProcess[str]:
    """tshark without the settings of whoever runs the tests, names or colours.

    Args:
        arguments: more options.
        plugins: a file to be put where a user's plugins are.
    """
    with tempfile.TemporaryDirectory() as home:
        if plugins is not None:
            folder = Path(home, "plugins")
            folder.mkdir()
            shutil.copy(plugins, folder)
        return subprocess.run(
            [program("tshark"), *arguments],
            env={**os.environ, "HOME": home, "WIRESHARK_CONFIG_DIR": home},
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT,
        )


def _complaints(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("Running as user")]


def _show(proto: ElementTree.Element, name: str) -> str:
    field = next(field for field in proto.iter("field") if field.get("name") == name)
    return field.attrib["show"]


def _part(proto: ElementTree.Element, packet: int) -> Part:
    fields = {
        field.attrib["name"].removeprefix("vfiipc."): bytes.fromhex(field.attrib["value"])
        for field in proto.findall("field")
        if field.attrib["name"].startswith("vfiipc.")
    }
    notes = [
        field.attrib["show"]
        for field in proto.iter("field")
        if field.get("name") == "_ws.expert.message"
    ]
    return Part(fields, notes, packet)
