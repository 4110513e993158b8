"""What the loggers of the service say, to whom, and what they never say."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SECRET = "4111111111111111"

PROGRAM = f"""
import asyncio
from vfiipc import notify
from vfiipc.notify.messages import encode

async def main():
    allow = notify.parse_allow_list("in * * *")
    async with (
        notify.serve("tcp://127.0.0.1:0", allow=allow) as service,
        notify.connect(service.addresses[0], app_id="a", drain=0, reconnect=False) as client,
    ):
        def handler(given):
            pass
        await client.register("x\\x1b", handler)
        await client._link.send(b'{{"type":"notify","card":"{SECRET}"}}')
        await client.send("a", "x\\x1b", "{SECRET}")
        await client.sync()
        await service.aclose()
        await client.wait_closed()

asyncio.run(main())
"""


def output(**environment: str) -> list[str]:
    """The lines on standard error, without the time in front."""
    clean = {name: value for name, value in os.environ.items() if "LOG" not in name}
    command = [sys.executable, "-c", PROGRAM]
    env = {**clean, **environment}
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=50)
    assert SECRET not in done.stderr
    return [line.partition(" ")[2] for line in done.stderr.splitlines()]


@pytest.mark.parametrize("environment", [{}, {"NFY_LOGMASK": "0"}])
def test_it_is_silent_unless_asked(environment: dict[str, str]) -> None:  # NFY-L1
    assert output(**environment) == []


def test_the_mask_selects_both_channels_and_no_other() -> None:  # NFY-L1, NFY-L2, NFY-L3
    lines = output(NFY_LOGMASK="255")
    channels = {line.split()[0] for line in lines}
    assert channels == {"NFY", "NFYCL"}
    text = "\n".join(lines)
    assert "connected, remote" in text
    assert "are malformed: the member 'from' is missing" in text
    assert r"not allowed out: x\x1b from a to a, sent by client 1 127.0.0.1:" in text
    assert "NFYCL the connection to tcp://127.0.0.1:" in text
    (refused,) = [line for line in output(NFY_LOGMASK="32") if line]
    assert "not allowed" in refused
    others = output(IPC_LOGMASK="255")
    assert others
    assert {line.split()[0] for line in others} == {"IPC"}
