"""The results of a run as data, and their comparison with an earlier run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .._version import __version__
from .cases import CASES, CATALOGUE
from .setting import Setting
from .verdicts import LeftOut, MovedBytes, Result, Verdict

__all__ = ["LEFT_OUT", "Change", "Report", "changes", "expectations", "read_expectations"]

#: The verdict in an expectations file for a case that was left out.
LEFT_OUT = "LEFT OUT"

_ORDER = {case.id: index for index, case in enumerate(CASES)}


@dataclass(frozen=True)
class Report:
    """The results of a run.

    Attributes:
        peer: the address or command of the peer.
        setting: prefix, limit and mode of the peer, and the seed.
        results: the cases that have run, in the order of the catalogue.
        left_out: the cases that do not apply to this peer.
        complete: whether the run was not interrupted.
    """

    peer: str
    setting: Setting
    results: tuple[Result, ...]
    left_out: tuple[LeftOut, ...] = ()
    complete: bool = True

    @classmethod
    def of(
        cls,
        peer: str,
        setting: Setting,
        results: Mapping[str, Result],
        left_out: Mapping[str, LeftOut],
        *,
        complete: bool,
    ) -> Report:
        """Makes a report with the cases in the order of the catalogue."""
        return cls(
            peer,
            setting,
            tuple(sorted(results.values(), key=lambda result: _ORDER[result.id])),
            tuple(sorted(left_out.values(), key=lambda case: _ORDER[case.id])),
            complete,
        )

    @property
    def summary(self) -> dict[str, int]:
        """How many cases got each verdict."""
        counts = Counter(result.verdict for result in self.results)
        return {verdict.value: counts[verdict] for verdict in Verdict}

    def failures(self, *, strict: bool = False) -> list[Result]:
        """The cases that make a run fail; with ``strict``, NON-STRICT ones, too."""
        return [
            result
            for result in self.results
            if result.verdict.is_failure or (strict and result.verdict is Verdict.NON_STRICT)
        ]

    def as_json(self) -> dict[str, Any]:
        """The report as a value for ``json.dumps``."""
        return {
            "kit": __version__,
            "catalogue": CATALOGUE,
            "peer": self.peer,
            "prefix": f"0x{self.setting.mark.hex()}",
            "limit": self.setting.limit,
            "mode": "strict" if self.setting.strict else "lenient",
            "seed": self.setting.seed,
            "complete": self.complete,
            "cases": [_case_as_json(result) for result in self.results],
            "left_out": [case._asdict() for case in self.left_out],
            "summary": self.summary,
        }


def _case_as_json(result: Result) -> dict[str, Any]:
    return {
        "id": result.id,
        "title": result.title,
        "rule": result.rule,
        "verdict": result.verdict.value,
        "ending": result.ending,
        "seconds": round(result.seconds, 4),
        "expected": result.expected,
        "observed": result.observed,
        "sent": _chunks_as_json(result.sent),
        "received": _chunks_as_json(result.received),
        "sent_bytes": result.sent_bytes,
        "received_bytes": result.received_bytes,
    }


def _chunks_as_json(chunks: tuple[MovedBytes, ...]) -> list[list[float | str]]:
    return [[round(chunk.at, 6), chunk.data.hex()] for chunk in chunks]


# Known deviations


@dataclass(frozen=True)
class Change:
    """A case whose verdict differs from that of an earlier run."""

    id: str
    former: str
    present: str

    def __str__(self) -> str:
        return f"{self.id}: {self.former} before, {self.present} now"


def expectations(report: Report) -> str:
    """The verdicts as the text of an expectations file, which ``--save-expect`` writes."""
    cases = dict(_verdicts(report))
    return json.dumps({"catalogue": CATALOGUE, "cases": cases}, indent=2) + "\n"


def read_expectations(text: str) -> dict[str, str]:
    """The verdicts by case ID in the text of an expectations file.

    Raises:
        ValueError: the text is not such a file; the message says why.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("cases"), dict):
        raise ValueError('no object with "catalogue" and "cases"')
    if value.get("catalogue") != CATALOGUE:
        raise ValueError(
            f"made for version {value.get('catalogue')!r} of the catalogue, this is {CATALOGUE}"
        )
    allowed = {*(verdict.value for verdict in Verdict), LEFT_OUT}
    cases: dict[str, str] = {}
    for number, verdict in value["cases"].items():
        if number not in _ORDER:
            raise ValueError(f"there is no case {number!r}")
        if not isinstance(verdict, str) or verdict not in allowed:
            raise ValueError(
                f"case {number}: {verdict!r} is not one of {', '.join(sorted(allowed))}"
            )
        cases[number] = verdict
    return cases


def changes(report: Report, expected: Mapping[str, str]) -> list[Change]:
    """The differences between a run and the expectations, in either direction.

    Cases that were not chosen for this run do not count.
    """
    return [
        Change(number, expected.get(number, "not run"), present)
        for number, present in _verdicts(report)
        if expected.get(number) != present
    ]


def _verdicts(report: Report) -> Iterator[tuple[str, str]]:
    found = {result.id: result.verdict.value for result in report.results}
    found |= {case.id: LEFT_OUT for case in report.left_out}
    yield from sorted(found.items(), key=lambda item: _ORDER[item[0]])
