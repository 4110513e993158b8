"""The real server, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.cli.program import Running, started


class Server(NamedTuple):
    running: Running
    tcp: str
    pipe: str

    def stderr_to_the_end(self) -> str:
        self.running.send_signal(15)
        return self.running.end().err


@contextmanager
def server(
    folder: Path, *arguments: str, listen: str = "127.0.0.1:0", mask: str = "63"
) -> Iterator[Server]:
    pipe = folder / "notify.pipe"
    options = ("--listen", listen, "--pipe", str(pipe), *arguments)
    with started("notifysvc", *options, env={"NFY_LOGMASK": mask}) as running:
        tcp, local = (running.line().removeprefix("listening at ") for _ in range(2))
        assert local == f"pipe://{pipe}"
        yield Server(running, tcp, str(pipe))
