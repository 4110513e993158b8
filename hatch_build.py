"""Puts the specification into the wheel. An editable install finds it beside the source."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class IncludeSpecification(BuildHookInterface):
    """A build hook of hatch."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":  # an editable install would get a copy that grows old
            build_data["force_include"]["spec"] = "vfiipc/spec"
