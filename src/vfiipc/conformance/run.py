"""Runs cases against a peer, concurrently if the peer can, and one by one otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from .cases import CASES, Case
from .evidence import Stop
from .peers import Peer
from .plan import CannotRun, Plan, prepare
from .play import Played, play
from .setting import Setting
from .steps import CaseScript, SendBytes
from .verdicts import LeftOut, Result, Verdict

__all__ = ["Examination", "ExamineOptions"]

_WORKERS: Final = 8  # number of concurrent cases without pauses
_MAX_LOSSES: Final = 5  # consecutive failed control exchanges; then the rest is skipped
_EXIT_DELAY: Final = 0.1  # seconds for the process to exit after its connection has ended
_REPEATS: Final = 2  # of a case that measures times, while it is slow
_TOGETHER: Final = "9.1"
_ENDED_BADLY: Final = (Stop.LOST, Stop.LEFT, Stop.UNREACHED)


@dataclass(frozen=True)
class ExamineOptions:
    """Options of an examination.

    Attributes:
        mode: ``lenient`` or ``strict``; ``auto`` detects the mode of the peer.
        serial: whether to use one connection at a time.
        scale: a factor for all deadlines, above 0.
        report: called with each result or left-out case as soon as it is known.
    """

    mode: str = "auto"
    serial: bool = False
    scale: float = 1.0
    report: Callable[[Result | LeftOut], object] = lambda _: None


@dataclass
class Examination:
    """One run of cases against a peer, in one event loop.

    The attributes can be read at any time, including after a cancelled ``run``.

    Attributes:
        peer: the peer; closed at the end of ``run``.
        setting: prefix, limit and seed; ``strict`` is set once the mode is known.
        cases: the cases to run, for example ``CASES``.
        options: mode, deadlines, and a callback for results.
        results: the results so far, by case ID.
        left_out: the cases that do not apply to the peer, by case ID.
        complete: whether all cases have run.
    """

    peer: Peer
    setting: Setting
    cases: Sequence[Case]
    options: ExamineOptions = field(default_factory=ExamineOptions)
    results: dict[str, Result] = field(default_factory=dict)
    left_out: dict[str, LeftOut] = field(default_factory=dict)
    complete: bool = False

    def __post_init__(self) -> None:
        self.setting = replace(self.setting, strict=self.options.mode == "strict")
        self._serial = self.options.serial
        self._lost = 0  # consecutive failed control exchanges
        self._last_loss = ""
        self._again: list[tuple[Case, Result]] = []

    async def run(self) -> None:
        """Runs all cases. Can be cancelled. Failures of the peer do not raise exceptions.

        Raises:
            Shortage: this machine has no descriptor or memory left for the rest of the run.
        """
        try:
            if self.options.mode == "auto":
                await self._find_mode()
            await self._find_whether_serial()
            await self._run_all()
            self.complete = True
        finally:
            await self.peer.close()
            await asyncio.sleep(0)  # lets transports finish closing

    async def _run_all(self) -> None:
        left = [case for case in self.cases if not self._is_done(case)]
        if self._serial:
            await self._run_each(left)
            return
        patient = [case for case in left if case.patient]
        quick = iter([case for case in left if not case.patient and not case.alone])
        await _together(
            *(self._run_beside(case) for case in patient),
            *(self._run_beside_each(quick) for _ in range(_WORKERS)),
        )
        await self._run_each(case for case in left if case.alone)
        for case, result in sorted(self._again, key=lambda each: CASES.index(each[0])):
            if self._lost < _MAX_LOSSES:
                await self._run_alone(case)
            else:
                self._note(result)  # a repetition would only be reported as not tried

    def _is_done(self, case: Case) -> bool:
        return case.id in self.results or case.id in self.left_out

    async def _run_each(self, cases: Iterable[Case]) -> None:
        for case in cases:
            await self._run_alone(case)

    async def _run_beside_each(self, cases: Iterable[Case]) -> None:
        for case in cases:
            await self._run_beside(case)

    async def _run_beside(self, case: Case) -> None:
        """Runs a case concurrently. If another case may have disturbed it, it is repeated alone."""
        outcome = await self._run(case)
        if outcome is None:
            return
        result, played = outcome
        ends = (seen.stop for seen in played.evidence.seen) if played is not None else ()
        fell = any(stop in _ENDED_BADLY for stop in ends) or (played is not None and played.crash)
        if result.verdict.is_failure and fell and self._lost < _MAX_LOSSES:
            self._again.append((case, result))
        else:
            self._note(result)

    async def _run_alone(self, case: Case) -> None:
        """Runs a case; repeats it if it measures times and was slow, which other load can cause."""
        outcome = await self._run(case)
        for _ in range(_REPEATS if case.measures else 0):
            if outcome is not None and outcome[0].verdict is Verdict.NON_STRICT:
                outcome = await self._run(case)
        if outcome is not None:
            self._note(outcome[0])

    def _note(self, result: Result) -> None:
        self.results[result.id] = result
        self.options.report(result)

    # --- detecting the mode and abilities of the peer

    async def _find_mode(self) -> None:
        """Sends a stray byte: a strict peer closes the connection, a lenient one continues."""
        probe = Case(
            "0.1",
            "-",
            "a stray byte",
            "Z",
            lambda own: CaseScript((SendBytes(own.stray),), ()),
            seconds=3.0,
        )
        played = await self._play(prepare(probe, self.setting, self.peer.abilities))
        (seen,) = played.evidence.seen
        if not seen.control_answered:
            self._lost += 1
        closed = seen.control_answered and seen.stop is Stop.LOST and seen.ending != "timeout"
        came = len(self.setting.encoded(self.setting.control))
        if closed and len(seen.received) == came:
            self.setting = replace(self.setting, strict=True)

    async def _find_whether_serial(self) -> None:
        """Detects whether the peer serves several connections at once."""
        case = next(case for case in CASES if case.id == _TOGETHER)
        if self._serial:
            self.peer.abilities = self.peer.abilities._replace(several=False)
            return
        outcome = await self._run(case)
        if outcome is None:
            return
        result, _ = outcome
        if result.verdict is Verdict.UNIMPLEMENTED:
            self.peer.abilities = self.peer.abilities._replace(several=False)
        # A peer that mixes up connections would also fail other concurrent cases.
        self._serial = result.verdict in (Verdict.UNIMPLEMENTED, Verdict.FAILED)
        if any(chosen.id == _TOGETHER for chosen in self.cases):
            self._note(result)

    # --- one case

    async def _run(self, case: Case) -> tuple[Result, Played | None] | None:
        """Runs a case; ``None`` if it is left out."""
        try:
            plan = prepare(case, self.setting, self.peer.abilities)
        except CannotRun as reason:
            return self._cannot_run(case, reason)
        if self._lost >= _MAX_LOSSES:
            return _untried(plan, self._lost, self._last_loss), None
        played = await self._play(plan)
        result = _judged(plan, played)
        if result.verdict is Verdict.INCONCLUSIVE:
            self._lost, self._last_loss = self._lost + 1, result.observed
        else:
            self._lost = 0
        return result, played

    def _cannot_run(self, case: Case, reason: CannotRun) -> tuple[Result, None] | None:
        if reason.lacking:
            verdict = Verdict.UNIMPLEMENTED
            return (
                Result(
                    case.id, case.title, case.rule, verdict, "open", 0.0, case.outcome, str(reason)
                ),
                None,
            )
        if any(chosen.id == case.id for chosen in self.cases):
            left_out = LeftOut(case.id, case.title, str(reason))
            self.left_out[case.id] = left_out
            self.options.report(left_out)
        return None

    async def _play(self, plan: Plan) -> Played:
        async with self.peer.variant(plan.setting, fresh=plan.case.needs_memory) as peer:
            before = len(peer.crashes())
            played = await play(plan, peer, self.options.scale)
            if any(seen.stop in _ENDED_BADLY for seen in played.evidence.seen):
                await asyncio.sleep(_EXIT_DELAY)
            crashes = peer.crashes()[before:]
        return played._replace(crash=crashes[-1] if crashes else "")


def _judged(plan: Plan, played: Played) -> Result:
    case, log = plan.case, played.log
    verdict, observed = case.judge(played.evidence)
    if played.crash:
        if verdict is not Verdict.INCONCLUSIVE:
            verdict = Verdict.FAILED
        if played.crash not in observed:
            observed = f"{observed}; {played.crash}"
    return Result(
        id=case.id,
        title=case.title,
        rule=case.rule,
        verdict=verdict,
        ending=played.evidence.seen[-1].ending,
        seconds=played.seconds,
        expected=plan.expected,
        observed=observed,
        sent=tuple(log.sent),
        received=tuple(log.received),
        sent_bytes=log.sent_bytes,
        received_bytes=log.received_bytes,
    )


def _untried(plan: Plan, count: int, last: str) -> Result:
    case = plan.case
    why = f"not tried, because {count} control exchanges in a row failed; the last failure: {last}"
    return Result(
        case.id, case.title, case.rule, Verdict.INCONCLUSIVE, "open", 0.0, plan.expected, why
    )


async def _together(*works: object) -> None:
    """Runs coroutines concurrently; if one fails, or this is cancelled, cancels the others."""
    tasks = [asyncio.ensure_future(work) for work in works]  # type: ignore[call-overload]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
