"""A program at a terminal of its own, typed at and read from."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


class Terminal:
    """What is shown on a terminal, and the program that shows it."""

    def __init__(self, keyboard: int, process: subprocess.Popen[bytes], patience: float) -> None:
        self._keyboard = keyboard
        self._process = process
        self._patience = patience
        self._shown = b""

    def type(self, text: bytes) -> None:
        os.write(self._keyboard, text)

    def wait_for(self, text: bytes) -> None:
        """Reads on until ``text`` has been shown, and forgets everything before its end."""
        while text not in self._shown:
            assert self._read(), (text, self._shown)
        self._shown = self._shown.partition(text)[2]

    def end(self) -> int:
        """Waits for the program to end; its exit status."""
        while self._read():
            pass
        return self._process.wait(self._patience)

    def _read(self) -> bool:
        if not select.select([self._keyboard], [], [], self._patience)[0]:
            return False
        try:
            data = os.read(self._keyboard, 65536)
        except OSError:  # everybody has closed the terminal
            return False
        self._shown += data
        return bool(data)


@contextmanager
def at_a_terminal(command: list[str], env: dict[str, str], patience: float) -> Iterator[Terminal]:
    """Starts a program whose streams are a terminal."""
    keyboard, terminal = os.openpty()
    try:
        with subprocess.Popen(
            command,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            env=env,
        ) as process:
            os.close(terminal)
            try:
                yield Terminal(keyboard, process, patience)
            finally:
                process.kill()
    finally:
        os.close(keyboard)
