"""Chapter 6: messages that arrive in pieces."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import chain, pairwise
from typing import Final

from ...codec import HEADER_SIZE
from ..setting import Setting
from ..steps import CaseScript, Pause, SendBytes, Step
from .case import Case, CaseNotApplicable
from .messages import pattern

__all__ = ["CASES", "in_pieces"]

_BETWEEN: Final = 0.02  # seconds
_CUTS: Final = 100


def in_pieces(stream: bytes, cuts: Iterable[int], pause: float = _BETWEEN) -> tuple[Step, ...]:
    """Sends the stream in pieces, split at these offsets, with pauses between them."""
    pieces = [stream[start:stop] for start, stop in pairwise((0, *cuts, len(stream)))]
    steps: list[list[Step]] = [[Pause(pause), SendBytes(piece)] for piece in pieces]
    return tuple(chain.from_iterable(steps))[1:]


def _byte_by_byte(setting: Setting) -> CaseScript:
    messages = (setting.first, setting.last)
    stream = setting.encoded(*messages)
    return CaseScript(tuple(SendBytes(bytes([value])) for value in stream), messages, final=False)


def _in_header(at: int, setting: Setting) -> CaseScript:
    return CaseScript(in_pieces(setting.encoded(setting.first), [at]), (setting.first,))


def _in_data(setting: Setting) -> CaseScript:
    first = setting.first
    if len(first.data) < 2:
        raise CaseNotApplicable("the limit is too low to split the data")
    at = HEADER_SIZE + len(first.data) // 2
    return CaseScript(in_pieces(setting.encoded(first), [at]), (first,))


def _across_border(setting: Setting) -> CaseScript:
    messages = (setting.first, setting.second)
    border = len(setting.encoded(setting.first))
    cuts = [border - 1, border + 5]
    return CaseScript(in_pieces(setting.encoded(*messages), cuts), messages)


def _one_and_a_half(setting: Setting) -> CaseScript:
    messages = (setting.first, setting.second)
    border = len(setting.encoded(setting.first))
    half = len(setting.encoded(setting.second)) // 2
    return CaseScript(in_pieces(setting.encoded(*messages), [border + half]), messages)


def _random_cuts(setting: Setting) -> CaseScript:
    choose = setting.random("cuts")
    sizes = (min(choose.randrange(400), setting.limit) for _ in range(20))
    messages = tuple(setting.numbered(number, pattern(size)) for number, size in enumerate(sizes))
    stream = setting.encoded(*messages)
    cuts = sorted(choose.sample(range(1, len(stream)), min(_CUTS, len(stream) - 1)))
    return CaseScript(in_pieces(stream, cuts, pause=0.001), messages)


CASES: Final = (
    Case("6.1", "FRM-C1", "A and Z, byte by byte", "A, Z", _byte_by_byte),
    *(
        Case(
            f"6.2.{at}", "FRM-C1", f"A, split after byte {at} of its header", "A",
            partial(_in_header, at),
        )
        for at in range(1, HEADER_SIZE)
    ),
    Case("6.3", "FRM-C1", "A, split in its data", "A", _in_data),
    Case("6.4", "FRM-C1", "A and B, with a piece that has bytes of both", "A, B", _across_border),
    Case("6.5", "FRM-C1", "one and a half messages, then the rest", "A, B", _one_and_a_half),
    Case("6.6", "FRM-C1", "20 messages, split at 100 random places", "all, in order", _random_cuts),
)  # fmt: skip
