"""The process of a peer: starts and ends it, and reports its memory and its last output."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

__all__ = ["Process"]

_PROC: Final = Path("/proc")
_KEPT_OUTPUT: Final = 2048  # bytes
_KILL_DELAY: Final = 1.0  # seconds between SIGTERM and SIGKILL
_SESSION: Final = 3  # index of the session ID among the fields of /proc/PID/stat after the name


class Process:
    """A running program in its own session, so that its child processes end with it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._output = b""
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, words: Sequence[str]) -> Process:
        """Starts a program.

        Raises:
            OSError: the program cannot be started.
        """
        return cls(
            await asyncio.create_subprocess_exec(
                *words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(65536):
            self._output = (self._output + data)[-_KEPT_OUTPUT:]

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    @property
    def crashed(self) -> bool:
        return bool(self._process.returncode)

    def exit_report(self) -> str:
        """How the process exited, and the last line of its output; empty while it runs."""
        status = self._process.returncode
        if status is None:
            return ""
        how = f"exited with status {status}"
        if status < 0:
            try:
                how = f"was killed by {signal.Signals(-status).name}"
            except ValueError:
                how = f"was killed by signal {-status}"
        lines = self._output.decode(errors="replace").strip().splitlines()
        said = f"; last line of its output: {lines[-1][:200]!r}" if lines else ""
        return f"its process {how}{said}"

    async def close(self) -> None:
        """Ends the process and its child processes."""
        try:
            if not self.ended:
                self._signal("SIGTERM")
                try:
                    await asyncio.wait_for(self._process.wait(), _KILL_DELAY)
                except asyncio.TimeoutError:
                    pass
        finally:
            self._signal("SIGKILL")
            self._reader.cancel()
        await self._process.wait()
        await asyncio.gather(self._reader, return_exceptions=True)
        # A process that left the session may still hold the other end of the pipe.
        transport = getattr(self._process, "_transport", None)
        if transport is not None:
            transport.close()

    def _signal(self, name: str) -> None:
        try:
            if sys.platform == "win32":
                if not self.ended:
                    self._process.kill()
            else:
                os.killpg(self._process.pid, getattr(signal, name))
        except (ProcessLookupError, PermissionError):
            pass

    # Memory

    @staticmethod
    def can_measure_memory() -> bool:
        return (_PROC / "self" / "statm").exists()

    def memory_bytes(self) -> int | None:
        """The virtual size of all processes in its session, including memory not yet touched."""
        if not self.can_measure_memory() or self.ended:
            return None
        return sum(self._sizes()) * os.sysconf("SC_PAGE_SIZE")

    def _sizes(self) -> Iterator[int]:
        for folder in _PROC.iterdir():
            if not folder.name.isdecimal():
                continue
            try:
                session = (folder / "stat").read_text().rpartition(")")[2].split()[_SESSION]
                if int(session) == self._process.pid:
                    yield int((folder / "statm").read_text().split()[0])
            except (OSError, IndexError):
                continue  # the process has just exited
