"""A payment terminal for tests, in thirty lines, with ``serve``: it approves small payments.

The application under test connects to it as to a real terminal. This one sends four commands.

Run ``python examples/terminal_simulator.py``; it prints::

    {'status': 'idle'}
    {'approved': True, 'receipt': 1}
    {'approved': False, 'reason': 'limit exceeded'}
    {'error': 'unknown command'}
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import vfiipc

FRAMING: Any = {"prefix": 0x004E4659, "size_limit": 65536}


class Terminal:
    """Handles the commands; a test can override methods to make them fail."""

    def __init__(self, limit: int = 5000) -> None:
        self.limit, self.receipts = limit, count(1)
        self.commands: dict[str, Callable[..., Any]] = {"status": self.status, "pay": self.pay}

    def status(self) -> dict[str, Any]:
        return {"status": "idle"}

    def pay(self, cents: int) -> dict[str, Any]:
        if cents > self.limit:
            return {"approved": False, "reason": "limit exceeded"}
        return {"approved": True, "receipt": next(self.receipts)}

    def serve(self, connection: vfiipc.Connection) -> None:
        for msg_id, data in connection:
            command = json.loads(data)
            method = self.commands.get(command.pop("do"))
            answer = method(**command) if method else {"error": "unknown command"}
            connection.send(json.dumps(answer).encode(), msg_id)


def main() -> None:
    commands: list[Any] = [{"do": "status"}, {"do": "pay", "cents": 1999}]
    commands += [{"do": "pay", "cents": 9900}, {"do": "dance"}]
    with (
        vfiipc.serve(Terminal().serve, "tcp://127.0.0.1:0", **FRAMING) as server,
        vfiipc.connect(server.address, **FRAMING) as terminal,
    ):
        for command in commands:
            answer = terminal.request(json.dumps(command).encode(), timeout=5)
            print(json.loads(answer.data))


if __name__ == "__main__":
    main()
