"""``Framer`` through every public call in any order, against the plain model."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.codec.model import Model
from tests.helpers.examples import examples
from vfiipc.codec import Framer, SyncLostError, backlog, encode, framer
from vfiipc.codec import large as large_message
from vfiipc.testing import garbage, messages, prefixes

Result = TypeVar("Result")

# A fault is final: where strictness is frequent, little else is tried.
RARELY = st.sampled_from([False, False, False, False, True])
PREFIXES = [0xABABABAB, 0, 1, 0x004E4659, 0xA1B2C3D4]


class Machine(RuleBasedStateMachine):
    """Real thresholds; data of sizes around them."""

    portion = backlog.PORTION
    large = framer._LARGE
    joined, pieces = large_message._JOINED, large_message._PIECES
    sizes = st.sampled_from([0, 5, large - 12, large - 11, large + 1, portion, portion + 9])
    limits = st.sampled_from([0, large - 4, large, portion, portion + 9, portion + 9])

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(backlog, "PORTION", self.portion)
        self.patch.setattr(framer, "PORTION", self.portion)
        self.patch.setattr(framer, "_LARGE", self.large)
        self.patch.setattr(large_message, "_JOINED", self.joined)
        self.patch.setattr(large_message, "_PIECES", self.pieces)
        self.unsent = b""

    def teardown(self) -> None:
        self.patch.undo()

    @initialize(prefix=prefixes() | st.sampled_from(PREFIXES), data=st.data(), strict=RARELY)
    def begin(self, prefix: int, data: st.DataObject, strict: bool) -> None:
        limit = data.draw(self.limits)
        self.framer = Framer(prefix, limit, strict=strict)
        self.model = Model(prefix, limit, strict=strict)

    def both(self, name: str, *arguments: Any) -> None:
        """The same call on both; the results, and what is raised, are to be the same."""
        outcomes = []
        for receiver in (self.framer, self.model):
            try:
                outcomes.append(getattr(receiver, name)(*arguments))
            except SyncLostError as error:
                outcomes.append((type(error), error.position, error.found))
        assert outcomes[0] == outcomes[1]

    # Bytes on their way: they arrive in pieces that have nothing to do with what was sent.

    @rule(data=st.data())
    def message(self, data: st.DataObject) -> None:
        message = data.draw(messages(self.model.prefix))
        size = data.draw(self.sizes)
        filling = (message.data or b"-") * (1 + size // (len(message.data) or 1))
        self.send(encode(self.model.prefix, message.msg_id, filling[:size]), data)

    @rule(data=st.data(), false_headers=st.booleans())
    def garbage(self, data: st.DataObject, false_headers: bool) -> None:
        prefix, limit = self.model.prefix, self.model.size_limit
        self.send(data.draw(garbage(prefix, size_limit=limit, false_headers=false_headers)), data)

    @rule()
    def what_is_wanted(self) -> None:
        self.arrive(self.framer.bytes_wanted())

    @rule()
    def the_rest(self) -> None:
        self.arrive(len(self.unsent))

    def send(self, more: bytes, data: st.DataObject) -> None:
        self.unsent += more
        near = st.integers(0, 30) | self.sizes
        while data.draw(st.integers(0, 3)) and self.unsent:
            self.arrive(data.draw(near))
            if data.draw(st.booleans()):
                self.both("next_message")

    def arrive(self, count: int) -> None:
        arrived, self.unsent = self.unsent[:count], self.unsent[count:]
        self.both("receive_data", arrived)

    # Asking

    @rule()
    def next_message(self) -> None:
        self.both("next_message")

    @rule()
    def drain(self) -> None:
        self.both("drain")

    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        self.both("take", data.draw(st.integers(0, 20) | self.sizes))

    @rule(data=st.data())
    def peek(self, data: st.DataObject) -> None:
        self.both("peek", data.draw(st.integers(0, 20) | self.sizes))

    # Changing

    @rule(data=st.data())
    def change_prefix(self, data: st.DataObject) -> None:
        # Mostly to one that will be found in what is on its way.
        near = [int.from_bytes(part, "big") for at in range(8) if len(part := self.near(at)) == 4]
        prefix = data.draw(st.sampled_from([*near, *PREFIXES]))
        self.framer.prefix = self.model.prefix = prefix

    def near(self, at: int) -> bytes:
        return (self.model.peek(12) + self.unsent)[at : at + 4]

    @rule(data=st.data())
    def change_limit(self, data: st.DataObject) -> None:
        self.framer.size_limit = self.model.size_limit = data.draw(self.limits)

    @rule(strict=RARELY)
    def change_mode(self, strict: bool) -> None:
        self.framer.strict = self.model.strict = strict

    @rule()
    def refused_changes(self) -> None:
        with pytest.raises(ValueError, match=r"^prefix is -1\b"):
            self.framer.prefix = -1
        with pytest.raises(ValueError, match=r"^size_limit is 2147483648\b"):
            self.framer.size_limit = 2**31
        with pytest.raises(TypeError, match=r"^size_limit must be an int, not NoneType$"):
            self.framer.size_limit = None  # type: ignore[assignment]

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "model"):
            ours, plain = self.framer, self.model
            for name in ("prefix", "size_limit", "strict", "pending", "discarded"):
                assert getattr(ours, name) == getattr(plain, name), name
            assert ours.bytes_wanted() == plain.bytes_wanted()


class SmallMachine(Machine):
    """The same with thresholds so small that every stream crosses them."""

    portion = 16
    large = 24
    joined, pieces = 50, 2
    sizes = st.integers(0, 70)
    limits = st.sampled_from([0, 12, 25, 40, 70, 70])


class TinyMachine(Machine):
    """Below the size of a header, where each piece is less than any step needs."""

    portion = 3
    large = 1
    joined, pieces = 10, 1
    sizes = st.integers(0, 20)
    limits = st.sampled_from([0, 1, 9, 20, 40, 40])


@pytest.mark.parametrize(
    ("machine", "count"), [(Machine, 25), (SmallMachine, 80), (TinyMachine, 60)]
)
def test_framer_does_what_the_model_does(machine: type[Machine], count: int) -> None:
    calm = settings(
        max_examples=examples(count),
        stateful_step_count=30,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(machine, settings=calm)
