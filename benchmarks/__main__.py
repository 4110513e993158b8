"""``python -m benchmarks [--save] [codec ...]``: runs benchmarks and writes tables and pictures.

``--draw`` measures nothing: it draws the pictures in benchmarks/results anew from the tables there.
"""

from __future__ import annotations

import argparse
import textwrap
from importlib import import_module
from pathlib import Path
from types import ModuleType

from .harness import Result, machine, markdown
from .pages import results_of
from .plot import CAPTION, svg

_HERE = Path(__file__).resolve().parent
_NAMES = [
    "codec",
    "transport",
    "pipe",
    "tls",
    "connections",
    "aio",
    "network",
    "notify",
    "notify_nats",
    "imports",
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="|".join(_NAMES), help="all without a name")
    parser.add_argument("--save", action="store_true", help="renew benchmarks/results")
    parser.add_argument("--draw", action="store_true", help="only draw the pictures there anew")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in _NAMES:
            parser.error(f"no benchmark is called {name!r}: choose from {', '.join(_NAMES)}")
    folder = (
        _HERE / "results"
        if arguments.save or arguments.draw
        else _HERE.parent / "build" / "benchmarks"
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or _NAMES:
        if arguments.draw:
            page = (folder / f"{name}.md").read_text(encoding="utf-8")
            _draw(import_module(f"benchmarks.{name}"), list(results_of(page)), name, folder)
        else:
            _run(name, folder)


def _run(name: str, folder: Path) -> None:
    benchmark = import_module(f"benchmarks.{name}")
    results: list[Result] = []
    for result in benchmark.run(benchmark.FULL):
        print(
            f"{_verdict(result)} {result.name} / {result.against}: {result.value:.3g}", flush=True
        )
        results.append(result)
    introduction = f"{benchmark.INTRODUCTION}\n\n{machine(benchmark.PACKAGES)}"
    page = markdown(benchmark.TITLE, f"{introduction}\n\n{_pictures(benchmark, name)}", results)
    (folder / f"{name}.md").write_text(page, encoding="utf-8")
    _draw(benchmark, results, name, folder)
    print(f"\n{page}\nwritten to {folder.relative_to(_HERE.parent)}/{name}.md and .svg")


def _pictures(benchmark: ModuleType, name: str) -> str:
    lines = [f"![Bars for the ratios of the tables below]({name}.svg)", CAPTION]
    if hasattr(benchmark, "growth"):
        lines += [f"![Curves for the same ratios]({name}_growth.svg)", benchmark.GROWTH_CAPTION]
    return "\n\n".join(textwrap.fill(line, 100) for line in lines)


def _draw(benchmark: ModuleType, results: list[Result], name: str, folder: Path) -> None:
    drawn = getattr(benchmark, "pictured", list)(results)  # where all would be too many
    (folder / f"{name}.svg").write_text(svg(benchmark.TITLE, drawn), encoding="utf-8")
    if hasattr(benchmark, "growth"):
        growth = benchmark.growth(results)
        (folder / f"{name}_growth.svg").write_text(growth, encoding="utf-8")


def _verdict(result: Result) -> str:
    return {True: "met     ", False: "NOT MET ", None: "        "}[result.met]


if __name__ == "__main__":
    main()
