"""The conformance kit: tests a running implementation over the wire.

The peer must be an echo: it sends every message that it receives back unchanged. Each case of the
catalogue (``spec/conformance.md``) sends bytes and compares the answer with what the receiver of
``spec/framing.md`` delivers. ``vfiipc examine`` does the same on the command line:

    setting = Setting(prefix=0xC0DEFACE, limit=65536)
    peer = Executed(["./echo", "{port}", "{prefix}", "{limit}"], setting)
    examination = Examination(peer, setting, CASES)
    asyncio.run(examination.run())
    failed = [each for each in examination.results.values() if each.verdict.is_failure]

Cases, expectations and verdicts do no I/O; ``peers`` and ``play`` do, with asyncio. Nothing here is
thread safe: use an examination and its peer in one event loop.
"""

from __future__ import annotations

from .cases import CASES, CATALOGUE, Case
from .peers import Dialled, Executed, ListeningPeer, Peer, Shortage
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
    "Shortage",
    "Verdict",
]
