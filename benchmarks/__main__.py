"""``python -m benchmarks [--save] [codec ...]``: runs benchmarks and writes tables and plots."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from .harness import Result, machine, markdown
from .plot import svg

_HERE = Path(__file__).resolve().parent
_NAMES = ["codec", "transport", "pipe", "tls", "connections", "aio", "network", "notify"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="|".join(_NAMES), help="all without a name")
    parser.add_argument("--save", action="store_true", help="renew benchmarks/results")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in _NAMES:
            parser.error(f"no benchmark is called {name!r}: choose from {', '.join(_NAMES)}")
    folder = _HERE / "results" if arguments.save else _HERE.parent / "build" / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or _NAMES:
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
    pictures = f"![plot]({name}.svg)"
    if hasattr(benchmark, "growth"):
        pictures += f"\n\n![growth]({name}_growth.svg)"
        growth = benchmark.growth(results)
        (folder / f"{name}_growth.svg").write_text(growth, encoding="utf-8")
    page = markdown(benchmark.TITLE, f"{introduction}\n\n{pictures}", results)
    (folder / f"{name}.md").write_text(page, encoding="utf-8")
    drawn = getattr(benchmark, "pictured", list)(results)  # where all would be too many
    (folder / f"{name}.svg").write_text(svg(benchmark.TITLE, drawn), encoding="utf-8")
    print(f"\n{page}\nwritten to {folder.relative_to(_HERE.parent)}/{name}.md and .svg")


def _verdict(result: Result) -> str:
    return {True: "met     ", False: "NOT MET ", None: "        "}[result.met]


if __name__ == "__main__":
    main()
