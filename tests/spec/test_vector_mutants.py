"""Receivers that are wrong in one way each: the vectors have to notice every one of them.

``Model`` is written from the specification and passes all vectors. Each mutant below is that model
with one mistake that an implementation might well make.
"""

from __future__ import annotations

import pytest

from tests.codec.model import HEADER_SIZE, PREFIX_AND_SIZE, Model
from tests.spec.runner import RECEIVER_KINDS
from tests.spec.vectors import Case, all_cases, as_bytes
from vfiipc.codec import Message, SyncLostError

CASES = [case for case in all_cases() if case["kind"] in RECEIVER_KINDS]


class KeepsAcceptedHeader(Model):
    """Remembers that the header at the front was accepted."""

    accepted = -1  # where the header is in the stream

    def at(self) -> int:
        return self.received - self.pending

    def accepts(self, size: int) -> bool:
        accepted = super().accepts(size) or (self.strict and self.accepted == self.at())
        if accepted:
            self.accepted = self.at()
        return accepted


class StrictIgnoresNewLimitInsideMessage(KeepsAcceptedHeader):
    pass


class StrictIgnoresNewPrefixInsideMessage(KeepsAcceptedHeader):
    def accepts(self, size: int) -> bool:
        super().accepts(size)
        return Model.accepts(self, size)

    def find_prefix(self) -> bool:
        return (self.strict and self.accepted == self.at()) or super().find_prefix()


class StrictWantsOneByte(Model):
    def bytes_wanted(self) -> int:
        return 1 if self.strict and self.held else super().bytes_wanted()


class StrictWantsOneByteOfData(Model):
    def bytes_wanted(self) -> int:
        return 1 if self.strict and self.pending >= HEADER_SIZE else super().bytes_wanted()


class WantsRestOfHeaderFrom8To11(Model):
    def bytes_wanted(self) -> int:
        if self.asked and PREFIX_AND_SIZE <= self.pending < HEADER_SIZE:
            return HEADER_SIZE - self.pending
        return super().bytes_wanted()


class WantsDataBehindHeaderFrom8To11(Model):
    def bytes_wanted(self) -> int:
        if self.asked and PREFIX_AND_SIZE <= self.pending < HEADER_SIZE:
            return self.size() - 4
        return super().bytes_wanted()


class TakesEmptyArrivalAfterFault(Model):
    def receive_data(self, data: bytes) -> None:
        if data:
            super().receive_data(data)


class HoldsArrivalAfterFault(Model):
    def receive_data(self, data: bytes) -> None:
        try:
            super().receive_data(data)
        except SyncLostError:
            self.held += data
            raise


class EmptyArrivalCounts(Model):
    def receive_data(self, data: bytes) -> None:
        super().receive_data(data)
        self.asked = False


class TakingNothingCounts(Model):
    def take(self, n: int) -> bytes:
        taken = super().take(n)
        self.asked = False
        return taken


class TakingUnaskedKeepsWanted(Model):
    def take(self, n: int) -> bytes:
        asked, taken = self.asked, super().take(n)
        self.asked = asked
        return taken


class SamePrefixCounts(Model):
    def changed(self, name: str, former: int, value: int) -> None:
        super().changed(name, former, value)
        self.asked = self.asked and name != "prefix"


class SameLimitCounts(Model):
    def changed(self, name: str, former: int, value: int) -> None:
        super().changed(name, former, value)
        self.asked = self.asked and name != "size_limit"


class SameModeCounts(Model):
    def changed(self, name: str, former: int, value: int) -> None:
        super().changed(name, former, value)
        self.asked = self.asked and name != "strict"


class ModeChangeDoesNotCount(Model):
    def changed(self, name: str, former: int, value: int) -> None:
        if name != "strict":
            super().changed(name, former, value)


class RefusedChangeCounts(Model):
    def checked(self, name: str, value: int, highest: int) -> int:
        try:
            return super().checked(name, value, highest)
        except ValueError:
            self.asked = False
            raise


class RefusedChangeTakesEffect(Model):
    def checked(self, name: str, value: int, highest: int) -> int:
        try:
            return super().checked(name, value, highest)
        except ValueError:
            if name == "size_limit":
                self._size_limit = value
            raise


class WantsAfterFaultAsBefore(Model):
    def bytes_wanted(self) -> int:
        return 1 if self.held and self.fault else self.wanted_without_fault()

    def wanted_without_fault(self) -> int:
        fault, self.fault = self.fault, None
        wanted = super().bytes_wanted()
        self.fault = fault
        return wanted


class CountsIn32Bits(Model):
    def lose_sync(self) -> None:
        self.received &= 2**32 - 1
        super().lose_sync()


class CountsIn31Bits(Model):
    def lose_sync(self) -> None:
        self.received &= 2**31 - 1
        super().lose_sync()


class DiscardsIn32Bits(Model):
    def drop(self, count: int) -> None:
        super().drop(count)
        self.discarded &= 2**32 - 1


#: Only cases in bulk can notice these.
COUNTERS = {CountsIn32Bits, CountsIn31Bits, DiscardsIn32Bits}


# Mistakes about the format and the search


class DropsFourBytes(Model):
    def drop(self, count: int) -> None:
        super().drop(4 if count == 1 and len(self.held) >= PREFIX_AND_SIZE else count)


class AcceptsSize3(Model):
    def accepts(self, size: int) -> bool:
        return size == 3 or super().accepts(size)


class LimitCountsHeaderPart(Model):
    def accepts(self, size: int) -> bool:
        return 4 <= size <= self.size_limit


class LimitOffByOne(Model):
    def accepts(self, size: int) -> bool:
        return 4 <= size <= self.size_limit + 5


class KeepsShorterTail(Model):
    def tail(self, mark: bytes) -> int:
        return min(1, super().tail(mark))


class KeepsNoTail(Model):
    def tail(self, mark: bytes) -> int:
        return 0


class ReadsLittleEndian(Model):
    def size(self) -> int:
        return int.from_bytes(self.held[4:PREFIX_AND_SIZE], "little")


class ReadsIdUnsigned(Model):
    def deliver(self, size: int) -> Message:
        message = super().deliver(size)
        return Message(message.msg_id % 2**32, message.data)


class SwallowsEmptyMessages(Model):
    def ask(self) -> Message | None:
        message = super().ask()
        return super().ask() if message is not None and not message.data else message


class DropsOnArrival(Model):
    def receive_data(self, data: bytes) -> None:
        super().receive_data(data)
        if not self.strict:
            self.find_prefix()


class FaultIsLifted(Model):
    def refuse_after_fault(self) -> None:
        if self.fault is not None and self.pending == 0:
            self.fault = None
        super().refuse_after_fault()


def mutants() -> list[type[Model]]:
    found = [kind for kind in globals().values() if isinstance(kind, type)]
    return [kind for kind in found if issubclass(kind, Model) and kind is not Model]


MUTANTS = [kind for kind in mutants() if kind is not KeepsAcceptedHeader]


def notices(case: Case, receiver: type[Model]) -> bool:
    try:
        RECEIVER_KINDS[case["kind"]](case, receiver)
    except (AssertionError, KeyError, SyncLostError):
        return True  # KeyError: the step asked for an error, and so names no result
    except pytest.fail.Exception as failed:
        if not str(failed).startswith("DID NOT RAISE"):  # a time-out proves nothing
            raise
        return True
    return False


def cost(case: Case) -> int:
    """The bytes that arrive; those in bulk come last."""
    steps = case.get("steps", [])
    if any(step["do"] == "repeat" for step in steps):
        return 2**32
    fed = [step["bytes"] for step in steps if step["do"] == "feed"]
    return sum(len(as_bytes(data)) for data in [*fed, case.get("input", "")])


@pytest.mark.long
def test_the_model_passes_every_vector() -> None:
    assert [case["id"] for case in CASES if notices(case, Model)] == []


@pytest.mark.long
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda kind: kind.__name__)
def test_a_vector_notices_the_mutant(mutant: type[Model]) -> None:
    in_order = sorted(CASES, key=cost, reverse=mutant in COUNTERS)
    assert any(notices(case, mutant) for case in in_order)
