"""Runs one of the broken peers: NAME PORT PREFIX LIMIT."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.conformance.broken_peers import main

main(*sys.argv[1:])
