"""The expectations and reactions of a scripted peer. Pure: no I/O, no threads, no clock.

A ``Reaction`` is a list of steps, which ``actions`` converts to actions of the fault engine. An
``Expectation`` is the reaction to certain messages. A ``Script`` contains expectations, and decides
which of them a message meets.
"""

from __future__ import annotations

import json as json_module
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..codec import PREFIX, Buffer, Message, check_integer, encode
from ..faults import Action, Delivery, End, Ending, Planner, Send, Wait, check_seconds
from .matching import ANYTHING, Criterion

if TYPE_CHECKING:
    from typing_extensions import Self
else:
    Self = TypeVar("Self")  # so that `typing.get_type_hints` resolves it

__all__ = [
    "Answer",
    "Expectation",
    "FunctionFailed",
    "Reaction",
    "Script",
    "actions",
    "answer_data",
]

#: Seconds between pieces, so that they also arrive separately.
_PAUSE: Final = 0.001
_SLICES_PER_SECOND: Final = 50

#: Computes the answer to a message: bytes for an answer with the same ID, a ``Message`` for one
#: with a different ID, None for no answer, or a list of these.
Computed = Callable[[Message], Any]


@dataclass(frozen=True)
class Answer:
    """One step of a reaction: a message, or a function that computes messages."""

    data: bytes | Computed
    msg_id: int | None = None  #: None for the ID of the request
    prefix: Callable[[int], int] = lambda own: own  #: computed from the peer's prefix
    oversize: bool = False  #: whether to pad it to one byte above the size limit
    delivery: Delivery = field(default_factory=Delivery)

    def messages(self, request: Message | None) -> Iterator[Message]:
        """The messages to send in answer to ``request``, if there is one."""
        if isinstance(self.data, bytes):
            yield self._reply(self.data, request)
            return
        computed = self.data(request or Message(0, b""))
        if computed is None:
            return
        several = isinstance(computed, (list, Iterator))
        for reply in computed if several else [computed]:
            yield self._reply(reply, request)

    def _reply(self, data: Any, request: Message | None) -> Message:
        if isinstance(data, Message):
            return data
        msg_id = request.msg_id if self.msg_id is None and request is not None else self.msg_id
        return Message(msg_id or 0, answer_data(data, ANYTHING))


_Step = Answer | Wait | Send | End


class FunctionFailed(Exception):
    """A function of the test has raised an exception. The message names both."""

    def __init__(self, where: object, error: BaseException) -> None:
        super().__init__(f"{where} raised {type(error).__name__}: {error}")


def answer_data(data: Buffer | str, json: Any) -> bytes:
    """Returns the data of an answer as bytes.

    Raises:
        TypeError: ``data`` is not bytes-like, or both arguments are given.
    """
    if json is not ANYTHING:
        if data != b"":
            raise TypeError("an answer takes data or json, not both")
        return json_module.dumps(json, allow_nan=False).encode()
    try:
        return bytes(memoryview(data))  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"data must be bytes-like, not {type(data).__name__}") from None


def actions(
    steps: Iterable[_Step], request: Message | None, prefix: int, size_limit: int
) -> Iterator[Action]:
    """Yields the actions for these steps, in order.

    Raises:
        ValueError, TypeError: an answer is too short for its faults, or a computed answer is
            invalid. Exceptions of functions that compute answers are passed on.
    """
    for step in steps:
        if isinstance(step, Answer):
            for message in step.messages(request):
                yield from _sent(step, message, prefix, size_limit)
        else:
            yield step


def _sent(answer: Answer, message: Message, prefix: int, size_limit: int) -> Iterator[Action]:
    data = message.data.ljust(size_limit + 1, b"\x00") if answer.oversize else message.data
    stream = encode(answer.prefix(prefix), message.msg_id, data)
    cut = answer.delivery.cut_after
    if cut is not None and cut > len(stream):
        raise ValueError(f"at={cut} is beyond the end of the answer, which has {len(stream)} bytes")
    last = max(answer.delivery.damage, default=0)
    if last >= len(stream):
        raise ValueError(
            f"offset {last} is not in the answer, which has {len(stream)} bytes, header included"
        )
    yield from Planner(answer.delivery).feed(stream)


class Reaction:
    """The steps of a reaction. All methods return the object, so that calls can be chained.

    ``answer``, ``delay``, ``garbage``, ``close`` and ``silence`` append a step, and so do ``cut``
    and ``reset`` without ``at``. The other methods change the last answer. All raise ``TypeError``
    or ``ValueError`` for invalid arguments, and for steps after the end of the connection.
    """

    def __init__(self) -> None:
        #: The steps, in order.
        self.steps: tuple[_Step, ...] = ()

    def answer(
        self,
        data: Buffer | Computed = b"",
        *,
        msg_id: int | None = None,
        json: Any = ANYTHING,
    ) -> Self:
        """Sends a message. May be called several times.

        Args:
            data: bytes-like; or a function that is called with the message and returns bytes-like
                data, a ``Message``, None for no answer, or a list of these.
            msg_id: by default the ID of the message that is answered, or 0.
            json: a value to send as JSON, instead of ``data``.

        Raises:
            TypeError, ValueError: an argument is invalid.
        """
        computed = data if callable(data) else answer_data(data, json)
        if callable(computed) and json is not ANYTHING:
            raise TypeError("an answer takes data or json, not both")
        if msg_id is not None:
            encode(0, msg_id, b"")  # raises if the ID is invalid
        return self._then(Answer(computed, msg_id))

    def delay(self, seconds: float) -> Self:
        """Waits before the next step: ``seconds``, 0..1e9."""
        return self._then(Wait(check_seconds("delay", seconds)))

    def garbage(self, data: Buffer) -> Self:
        """Sends ``data``, bytes that are not a message."""
        return self._then(Send(answer_data(data, ANYTHING)))

    def close(self) -> Self:
        """Closes the connection."""
        return self._then(End("close"))

    def silence(self) -> Self:
        """Stops sending on this connection, which stays open. Messages are still read."""
        return self._then(End("silence"))

    def cut(self, at: int | None = None) -> Self:
        """Closes the connection, in the middle of the last answer.

        Args:
            at: how many bytes of the answer to send first, including its header; by default, all.
        """
        return self._end("close", at)

    def reset(self, at: int | None = None) -> Self:
        """Resets the connection, so that the program gets a connection error.

        Args:
            at: as for ``cut``.
        """
        return self._end("reset", at)

    def pieces(self, sizes: int | Iterable[int], *, pause: float = _PAUSE) -> Self:
        """Sends the last answer in pieces.

        Args:
            sizes: the size of all pieces, or a list of sizes; the rest is then sent at once.
            pause: seconds between pieces.
        """
        if isinstance(sizes, Iterable):
            sizes = tuple(check_integer("a size of pieces", size, 1) for size in sizes)
            if not sizes:
                raise ValueError("pieces needs at least one size")
        else:
            check_integer("pieces", sizes, 1)
        return self._add_faults(pieces=sizes, pause=pause)

    def slow(self, bytes_per_second: float) -> Self:
        """Sends the last answer at ``bytes_per_second``, above 0."""
        try:
            is_speed = 0 < bytes_per_second < math.inf
        except TypeError:
            kind = type(bytes_per_second).__name__
            raise TypeError(f"bytes_per_second must be a number, not {kind}") from None
        if not is_speed:
            raise ValueError(
                f"bytes_per_second is {bytes_per_second}, but must be above 0 and finite"
            )
        size = max(1, round(bytes_per_second / _SLICES_PER_SECOND))
        return self.pieces(size, pause=size / bytes_per_second)

    def damage(self, bits: Mapping[int, int]) -> Self:
        """Flips bits of the last answer.

        Args:
            bits: maps offsets in the answer, including its header, to the bits (1..255) to flip.
        """
        Delivery(damage=bits)  # raises if it is invalid
        return self._add_faults(damage=dict(bits))

    def oversize(self) -> Self:
        """Pads the last answer with zero bytes, to one byte more than ``size_limit`` allows."""
        return self._change(oversize=True)

    def wrong_prefix(self, prefix: int | None = None) -> Self:
        """Sends the last answer with another prefix; by default, one that differs in every bit."""
        if prefix is None:
            return self._change(prefix=lambda own: PREFIX.highest - own)
        encode(prefix, 0, b"")  # raises if the prefix is out of range

        def other(own: int) -> int:
            if prefix == own:
                raise ValueError(f"wrong_prefix is the peer's own prefix, {own:#010x}")
            return prefix

        return self._change(prefix=other)

    def _then(self, step: _Step) -> Self:
        if self.steps and _ends_connection(self.steps[-1]):
            raise ValueError("the step before ends the connection, so nothing can follow it")
        self.steps += (step,)
        return self

    def _end(self, ending: Ending, at: int | None) -> Self:
        if at is None:
            return self._then(End(ending))
        return self._add_faults(cut_after=check_integer("at", at, 0), ending=ending)

    def _add_faults(self, **faults: Any) -> Self:
        delivery = self._last_answer().delivery
        return self._change(delivery=replace(delivery, **faults))

    def _change(self, **changes: Any) -> Self:
        self.steps = (*self.steps[:-1], replace(self._last_answer(), **changes))
        return self

    def _last_answer(self) -> Answer:
        last = self.steps[-1] if self.steps else None
        if not isinstance(last, Answer):
            raise ValueError("this changes an answer, so it must come after answer(...)")
        return last


def _ends_connection(step: _Step) -> bool:
    if isinstance(step, Answer):  # a function may compute none
        cut = step.delivery.cut_after is not None
        return cut and isinstance(step.data, bytes) and step.delivery.ending != "silence"
    return isinstance(step, End) and step.ending != "silence"


class Expectation(Reaction):
    """Messages that the peer expects, and its reaction to each of them.

    Args:
        criteria: what a message must meet; an empty list accepts every message.
        connection: the number of the connection on which the message must arrive; None for any.
        where: file and line in the test, for failure messages.
    """

    def __init__(self, criteria: list[Criterion], connection: int | None, where: str) -> None:
        super().__init__()
        self.criteria: list[Criterion] = criteria
        self.connection: int | None = connection
        self.where: str = where
        self.met: int = 0
        self.least: int = 1
        self.most: float = 1
        self.is_ordered: bool = True
        #: Whether a later ordered expectation was met.
        self.is_passed: bool = False

    def times(self, least: int, most: float | None = None) -> Self:
        """Sets how many messages are expected.

        Args:
            least: the minimum.
            most: the maximum; ``math.inf`` for no maximum; by default, the same as ``least``.
        """
        most = least if most is None else most
        for name, count in (("least", least), ("most", most)):
            if not (isinstance(count, int) or count == math.inf):
                raise TypeError(f"{name} must be an int, not {type(count).__name__}")
        if not 0 <= least <= most or not most or least == math.inf:
            raise ValueError(f"times({least}, {most}) needs 0 <= least <= most, and most above 0")
        self.least, self.most = least, most
        return self

    def any_order(self) -> Self:
        """Allows the messages at any time, before or after those of other expectations."""
        self.is_ordered = False
        return self

    @property
    def is_met(self) -> bool:
        """Whether enough messages have arrived."""
        return self.met >= self.least

    def differences(self, message: Message) -> list[str]:
        """Describes how the message differs from the criteria, in lines; empty if it does not.

        Raises:
            FunctionFailed: a function of the test has raised an exception.
        """
        try:
            return [line for criterion in self.criteria for line in criterion.differences(message)]
        except BaseException as error:  # pytest.fail() raises one that is not an Exception
            raise FunctionFailed(f"{self} ({self.where})", error) from error

    def __str__(self) -> str:
        texts = [criterion.text for criterion in self.criteria]
        if self.connection is not None:
            texts.append(f"connection={self.connection}")
        times = "" if (self.least, self.most) == (1, 1) else f".times({self.least}, {self.most})"
        times = f".times({self.least})" if self.least == self.most > 1 else times
        return f"expect({', '.join(texts)}){times}{'' if self.is_ordered else '.any_order()'}"


class Script:
    """An ordered list of expectations. Not thread safe."""

    def __init__(self) -> None:
        self.expectations: list[Expectation] = []

    def open(self, connection: int) -> list[Expectation]:
        """The expectations that the next message of a connection may meet.

        The expectations for a connection are one sequence, those for any connection another.
        """
        found, waiting = [], set()
        for expectation in self.expectations:
            sequence = expectation.connection
            if sequence not in (None, connection) or expectation.met >= expectation.most:
                continue
            if expectation.is_ordered and (sequence in waiting or expectation.is_passed):
                continue
            found.append(expectation)
            if expectation.is_ordered and not expectation.is_met:
                waiting.add(sequence)
        return found

    def take(self, message: Message, connection: int) -> Expectation | None:
        """Returns the first open expectation that the message meets, and counts it as met."""
        for expectation in self.open(connection):
            if not expectation.differences(message):
                expectation.met += 1
                self._pass(expectation)
                return expectation
        return None

    def _pass(self, met: Expectation) -> None:
        """Closes the expectations before an ordered one, even if they could be met again."""
        for earlier in self.expectations if met.is_ordered else ():
            if earlier is met:
                break
            if earlier.is_ordered and earlier.connection == met.connection:
                earlier.is_passed = True

    def unmet(self) -> list[Expectation]:
        """The expectations for which too few messages have arrived."""
        return [expectation for expectation in self.expectations if not expectation.is_met]
