"""Reads results back from the pages that they were written to, so that pictures can be redrawn."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .harness import Result

__all__ = ["results_of"]

_VALUE = re.compile(r"([\d.]+)(.*)")


def results_of(page: str) -> Iterator[Result]:
    """The results in the tables of a page that ``harness.markdown`` wrote, as far as it rounds."""
    group = ""
    for line in page.splitlines():
        if line.startswith("## "):
            group = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 7 and cells[0] != "case":
            yield _result(group, cells)


def _result(group: str, cells: list[str]) -> Result:
    name, against, measured, spread, aim, _, rate = cells
    value = _VALUE.match(measured)
    assert value is not None, measured
    low, high = re.findall(r"[\d.]+", spread)
    return Result(
        group,
        name,
        against,
        float(value[1]),
        float(low),
        float(high),
        aim=float(aim.split()[1]) if aim else None,
        at_most=aim.startswith("≤"),
        unit=value[2],
        rate=rate,
    )
