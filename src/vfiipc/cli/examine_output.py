"""The output of ``vfiipc examine``: a live table on a terminal, otherwise lines."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, Final

from ..conformance import CASES, Case, LeftOut, Report, Result, Setting, Verdict
from ..conformance.cases import CHAPTERS
from ..conformance.report import Change
from ..conformance.rules import quoted
from .arguments import show_prefix
from .failures import INSTALL_CONFORMANCE
from .streams import note, one_line, say, styled

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

__all__ = ["Output", "list_cases"]

_LEFT_OUT: Final = "left out"
_WIDTH: Final = 100
_NARROWEST: Final = 40
_STYLES: Final = {
    Verdict.OK: "good",
    Verdict.FAILED: "bad",
    Verdict.INCONCLUSIVE: "bad",
    Verdict.NON_STRICT: "strong",
}
_COLOURS: Final = {
    "OK": "green",
    "NON-STRICT": "yellow",
    "INFORMATIONAL": "blue",
    "UNIMPLEMENTED": "dim",
    "FAILED": "bold red",
    "INCONCLUSIVE": "magenta",
    _LEFT_OUT: "dim",
}


def list_cases(cases: Sequence[Case]) -> None:
    """Prints one line for each case: ID, rule, what is sent, what must come back."""
    for case in cases:
        say(f"{case.id:<7} {case.rule:<7} {case.title} -> {case.outcome}")


class Output:
    """Shows results in the order of the catalogue, each as soon as those before it are known.

    Args:
        cases: the cases to run.
        quiet: print nothing, because standard output is used for the report.
    """

    def __init__(self, cases: Sequence[Case], *, quiet: bool) -> None:
        self._order = [case.id for case in cases]
        self._quiet = quiet
        self._known: dict[str, Result | LeftOut] = {}
        self._shown = 0
        self._live: Live | None = None

    def begin(self, peer: str, setting: Setting) -> None:
        """Prints which peer is examined."""
        self._say(
            f"peer: {one_line(peer)}; prefix {show_prefix(setting.prefix)}, "
            f"limit {setting.limit:,}, seed {setting.seed}"
        )

    def __enter__(self) -> Output:
        if not self._quiet and sys.stdout is not None and sys.stdout.isatty():
            self._live = _live(self)
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(table(self._known.values()), refresh=True)
            self._live.stop()

    def report(self, result: Result | LeftOut) -> None:
        """Records a case that has run or was left out."""
        self._known[result.id] = result
        if self._live is not None:
            self._live.update(table(self._known.values()))
            return
        while self._shown < len(self._order) and self._order[self._shown] in self._known:
            self._show(self._known[self._order[self._shown]])
            self._shown += 1

    def end(self, report: Report, changed: Sequence[Change] | None) -> None:
        """Prints the remaining results and the summary."""
        for number in self._order[self._shown :]:
            known = self._known.get(number)
            if known is not None and (self._live is None or _is_notable(known)):
                self._show(known)
        counts = [f"{verdict}: {count}" for verdict, count in report.summary.items() if count]
        if report.left_out:
            counts.append(f"{_LEFT_OUT}: {len(report.left_out)}")
        mode = "strict" if report.setting.strict else "lenient"
        self._say(f"mode: {mode}; {', '.join(counts) or 'no case was run'}")
        if not report.complete:
            note("interrupted: these are the results so far")
        for change in changed or ():
            self._say(styled(f"changed: {change}", "bad"))

    def _show(self, known: Result | LeftOut) -> None:
        self._say("\n".join(_lines(known)))

    def _say(self, text: str) -> None:
        if not self._quiet:
            say(text)


def _is_notable(known: Result | LeftOut) -> bool:
    return isinstance(known, Result) and known.verdict is not Verdict.OK


def _lines(known: Result | LeftOut) -> Iterator[str]:
    if isinstance(known, LeftOut):
        yield styled(f"{_LEFT_OUT:<13} {known.id:<7} {known.title}: {known.reason}", "faint")
        return
    verdict = f"{known.verdict:<13}"
    style = _STYLES.get(known.verdict)
    yield f"{styled(verdict, style) if style else verdict} {known.id:<7} {known.title}"
    if known.verdict is Verdict.OK:
        return
    if known.verdict in (Verdict.FAILED, Verdict.NON_STRICT):
        if rule := quoted(known.rule):
            yield from _item("rule", rule)
        yield from _item("expected", known.expected)
    yield from _item("observed", known.observed)


def _item(name: str, text: str) -> Iterator[str]:
    first = f"    {name}: "
    width = _WIDTH
    if sys.stdout is not None and sys.stdout.isatty():
        width = min(width, max(_NARROWEST, get_terminal_size().columns))
    yield from textwrap.wrap(
        one_line(text), width, initial_indent=first, subsequent_indent=" " * len(first)
    )


# On a terminal


def _live(output: Output) -> Live | None:
    try:
        from rich.live import Live
    except ImportError:
        note(f"the live table needs rich; {INSTALL_CONFORMANCE}")
        return None
    return Live(table([]), refresh_per_second=8)


def table(known: Any) -> Table:
    """A table with the number of cases of each chapter by verdict."""
    from rich.table import Table

    columns = [*(verdict.value for verdict in Verdict), _LEFT_OUT]
    counts: Counter[tuple[int, str]] = Counter()
    for each in known:
        verdict = each.verdict.value if isinstance(each, Result) else _LEFT_OUT
        counts[int(each.id.partition(".")[0]), verdict] += 1
    used = [name for name in columns if any((number, name) in counts for number in CHAPTERS)]
    grid = Table()
    grid.add_column("chapter")
    grid.add_column("cases", justify="right")
    for name in used or ["OK"]:
        grid.add_column(name, justify="right", style=_COLOURS[name])
    for number, title in CHAPTERS.items():
        total = sum(case.chapter == number for case in CASES)
        row = [str(counts[number, name] or "") for name in used or ["OK"]]
        grid.add_row(f"{number} {title}", str(total), *row)
    return grid
