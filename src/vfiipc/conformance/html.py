"""The report as a self-contained HTML page without scripts. Needs Jinja2."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from jinja2 import Environment, StrictUndefined

from ..codec import PREFIX
from .cases import CASES, CHAPTERS
from .escapes import without_invalid_characters
from .link import SHOWN
from .report import Report
from .rules import quoted
from .verdicts import Verdict

__all__ = ["html"]

_CLASSES: Final = {verdict.value: verdict.value.lower() for verdict in Verdict} | {
    "LEFT OUT": "left-out"
}
#: Cases with these verdicts are expanded at first.
_OPENED: Final = (Verdict.FAILED.value, Verdict.NON_STRICT.value)


def html(report: Report) -> str:
    """The report as HTML. Text from the peer is escaped, so that it cannot inject markup."""
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["spaced"] = _spaced
    template = environment.from_string(
        files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    )
    shown = report.as_json()
    page = template.render(
        title="Conformance to ADK IPC message framing",
        report=shown,
        chapters=[
            (
                number,
                name,
                [case for case in shown["cases"] if _chapter(case["id"]) == number],
                [case for case in shown["left_out"] if _chapter(case["id"]) == number],
            )
            for number, name in CHAPTERS.items()
            if any(_chapter(case["id"]) == number for case in [*shown["cases"], *shown["left_out"]])
        ],
        classes=_CLASSES,
        opened=_OPENED,
        rules={case.rule: quoted(case.rule) for case in CASES},
        shown=SHOWN,
    )
    return without_invalid_characters(page)


def _chapter(number: str) -> int:
    return int(number.partition(".")[0])


def _spaced(data: str) -> str:
    """Hexadecimal digits in groups of a field's width."""
    width = 2 * PREFIX.packer.size
    return " ".join(data[at : at + width] for at in range(0, len(data), width))
