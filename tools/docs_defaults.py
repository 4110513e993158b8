"""Shows the value of a default in signatures, where the code names a constant."""

from __future__ import annotations

from typing import Any

import griffe


class DefaultsByValue(griffe.Extension):
    """``max_unsent=65536`` tells a reader more than ``max_unsent=MAX_UNSENT``."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Called when the whole package has been read."""
        for function in _functions(pkg):
            for parameter in function.parameters:
                if isinstance(parameter.default, griffe.ExprName):
                    parameter.default = _value(pkg, parameter.default)


def _functions(parent: griffe.Module | griffe.Class) -> list[griffe.Function]:
    found = []
    for member in parent.members.values():
        if isinstance(member, griffe.Function):
            found.append(member)
        elif isinstance(member, (griffe.Module, griffe.Class)):
            found += _functions(member)
    return found


def _value(package: griffe.Module, name: griffe.ExprName) -> str | griffe.Expr:
    try:
        member = package.modules_collection[name.canonical_path]
        constant = member.final_target if isinstance(member, griffe.Alias) else member
    except (KeyError, griffe.AliasResolutionError):
        return name
    if isinstance(constant, griffe.Attribute) and isinstance(constant.parent, griffe.Module):
        return constant.value or name
    return name
