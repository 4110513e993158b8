"""Puts the vectors into the wheel. An editable install finds them beside the source."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Vectors(BuildHookInterface):
    """A build hook of hatch."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            build_data["force_include"]["spec/vectors"] = "vfiipc/spec/vectors"
