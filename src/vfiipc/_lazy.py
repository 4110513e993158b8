"""Names of a module that are imported at first use (PEP 562), because few programs need them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["lazy_names"]


def lazy_names(
    module: str, names: Mapping[str, str], extra: str = ""
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Returns ``__getattr__`` and ``__dir__`` for a module.

    Args:
        module: the name of the module.
        names: maps each name to the module that defines it, relative to ``module``.
        extra: the extra to suggest if a library is missing.
    """

    def get(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        try:
            value = getattr(import_module(names[name], module), name)
        except ModuleNotFoundError as error:
            if not extra or error.name is None or error.name.startswith("vfiipc"):
                raise
            hint = f"{module}.{name} needs {error.name}; in a clone: pip install '.[{extra}]'"
            raise ModuleNotFoundError(hint, name=error.name) from error
        vars(sys.modules[module])[name] = value
        return value

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[module]), *names})

    return get, listed
