"""What is tried on each input: a program of calls, made on the framer and on a plain model.

An input is parameters, a program, and a stream (see ``Input``). Each step of the program makes the
same call on both, and both have to answer the same. So bytes are conserved, chunks never matter,
and nothing is raised that is not documented, for the model is a reading of the whole stream.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from tests.codec.model import Model
from vfiipc.codec import MAX_DATA_SIZE, Framer, SyncLostError, backlog, framer

_framer: Any = framer

_HEAD = struct.Struct(">BB4sL")
_STRICT, _SMALL = 1, 2

#: Thresholds at which the framer's ways of keeping bytes change, small enough for short streams.
_SMALL_THRESHOLDS = (16, 24)

_FEED, _NEXT, _DRAIN, _TAKE, _PEEK, _PREFIX, _LIMIT, _MODE = range(8)
_MOST_STEPS = 300
_WANTED = 31  # as an argument of _FEED: as many bytes as the framer asks for


class Input(NamedTuple):
    """An input, taken apart: what ``parse`` makes of any bytes, and ``build`` back into bytes."""

    strict: bool
    small: bool
    mark: bytes
    limit: int
    program: bytes
    stream: bytes

    @classmethod
    def parse(cls, data: bytes) -> Input:
        flags, length, mark, limit = _HEAD.unpack(data[: _HEAD.size].ljust(_HEAD.size, b"\0"))
        rest = data[_HEAD.size :]
        limit = min(limit, MAX_DATA_SIZE)
        program, stream = rest[:length], rest[length:]
        return cls(bool(flags & _STRICT), bool(flags & _SMALL), mark, limit, program, stream)

    def build(self) -> bytes:
        flags = _STRICT * self.strict | _SMALL * self.small
        head = _HEAD.pack(flags, len(self.program), self.mark, self.limit)
        return head + self.program + self.stream


def step(operation: int, argument: int) -> int:
    """One step of a program."""
    return operation | argument << 3


def one_go() -> bytes:
    """A program that feeds everything at once (what a program leaves over is fed at its end)."""
    return b""


def pieces(count: int) -> bytes:
    """A program that feeds ``count`` bytes, 0..30, or as many as are wanted (31), and asks."""
    return bytes([step(_FEED, count), step(_NEXT, 0), step(_FEED, count), step(_DRAIN, 0)])


class Disagreement(AssertionError):
    """The framer did not do what the model did."""


def check(data: bytes) -> None:
    """Raises ``Disagreement``, or whatever the framer should not have raised."""
    case = Input.parse(data)
    real = backlog.PORTION, _framer._LARGE
    portion, large = _SMALL_THRESHOLDS if case.small else real
    try:
        backlog.PORTION = _framer.PORTION = portion
        _framer._LARGE = large
        _Run(case).run()
    finally:
        backlog.PORTION = _framer.PORTION = real[0]
        _framer._LARGE = real[1]


class _Run:
    def __init__(self, case: Input) -> None:
        prefix = int.from_bytes(case.mark, "big")
        self.case = case
        self.unfed = case.stream
        self.framer = Framer(prefix, case.limit, strict=case.strict)
        self.model = Model(prefix, case.limit, strict=case.strict)

    def run(self) -> None:
        program = self.case.program
        for _ in range(_MOST_STEPS // (len(program) + 1)):  # over and over, within reason
            if not self.unfed:
                break
            for code in program:
                self._step(code & 7, code >> 3)
        self._both("receive_data", self.unfed)
        for _ in range(2):
            self._both("drain")

    def _step(self, operation: int, argument: int) -> None:
        if operation == _FEED:
            count = self.framer.bytes_wanted() if argument == _WANTED else argument
            fed, self.unfed = self.unfed[:count], self.unfed[count:]
            self._both("receive_data", fed)
        elif operation in (_NEXT, _DRAIN):
            self._both("next_message" if operation == _NEXT else "drain")
        elif operation in (_TAKE, _PEEK):
            self._both("take" if operation == _TAKE else "peek", argument)
        elif operation == _MODE:
            self.framer.strict = self.model.strict = bool(argument & 1)
        else:
            self._change(operation, argument)

    def _change(self, operation: int, argument: int) -> None:
        if operation == _PREFIX:
            held = self.model.peek(argument + 4)[-4:]
            prefix = int.from_bytes(held if len(held) == 4 else self.case.mark, "big")
            self.framer.prefix = self.model.prefix = prefix
        else:
            limit = self.case.limit if argument == _WANTED else argument
            self.framer.size_limit = self.model.size_limit = limit
        self._agree()

    def _both(self, name: str, *arguments: Any) -> None:
        ours, plain = (
            _outcome(receiver, name, *arguments) for receiver in (self.framer, self.model)
        )
        if ours != plain:
            raise Disagreement(f"{name}{arguments}: {ours!r}, but {plain!r} by the model")
        self._agree()

    def _agree(self) -> None:
        for name in ("pending", "discarded", "prefix", "size_limit", "strict"):
            ours, plain = getattr(self.framer, name), getattr(self.model, name)
            if ours != plain:
                raise Disagreement(f"{name}: {ours}, but {plain} by the model")
        if self.framer.bytes_wanted() != self.model.bytes_wanted():
            raise Disagreement("bytes_wanted")


def _outcome(receiver: Framer | Model, name: str, *arguments: Any) -> Any:
    try:
        return getattr(receiver, name)(*arguments)
    except SyncLostError as error:
        return error.position, error.found
