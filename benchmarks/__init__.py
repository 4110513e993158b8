"""Speed and memory of vfiipc as ratios to peers, measured in one run."""

from __future__ import annotations
