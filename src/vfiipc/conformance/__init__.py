"""The conformance kit: examines a running implementation from outside, over the wire.

The peer sends every message back that it delivers. Each case of the catalogue
(``spec/conformance.md``) sends something and compares what comes back with what the receiver of
``spec/framing.md`` makes of it. ``vfiipc examine`` is this on the command line.

Cases, expectations and judgements are pure; ``peers`` and ``play`` do the I/O, on asyncio.
"""

from __future__ import annotations

from .cases import CASES, CATALOGUE, Case
from .peers import Dialled, Executed, ListeningPeer, Peer
from .report import Report
from .run import Examination, ExamineOptions
from .setting import Setting
from .verdicts import LeftOut, Result, Verdict

__all__ = [
    "CASES",
    "CATALOGUE",
    "Case",
    "Dialled",
    "Examination",
    "ExamineOptions",
    "Executed",
    "LeftOut",
    "ListeningPeer",
    "Peer",
    "Report",
    "Result",
    "Setting",
    "Verdict",
]
