"""The files of the specification: prose, vectors, the Wireshark dissector, the Kaitai declaration.

A wheel carries them as package data. An editable install finds them beside its source.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

if sys.version_info >= (3, 11):
    from importlib.resources.abc import Traversable
else:
    from importlib.abc import Traversable

__all__ = ["spec_files"]


def spec_files() -> dict[str, Traversable]:
    """Every file under ``spec/``, by its name there: ``vectors/resync.json``, for example.

    Each can be opened and read as a ``pathlib.Path`` can.

    Raises:
        FileNotFoundError: the package was installed without the specification.
    """
    return dict(_files_in(_spec_folder(), ""))


def _spec_folder() -> Traversable:
    installed = files("vfiipc") / "spec"
    if installed.is_dir():
        return installed
    beside_source = Path(__file__).parents[2] / "spec"
    if (beside_source / "framing.md").is_file():
        return beside_source
    raise FileNotFoundError(f"the specification is neither at {installed} nor at {beside_source}")


def _files_in(folder: Traversable, parent: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = parent + entry.name
        if entry.is_dir():
            yield from _files_in(entry, f"{name}/")
        else:
            yield name, entry
