"""Test tools: a scripted peer, a check for framers, and Hypothesis strategies for streams.

``ScriptedPeer`` replaces a terminal in tests; pytest provides one as the fixture ``ipc_peer``.
``check_framer`` checks a framer of your own. The strategies generate messages, garbage and whole
streams. They and ``check_framer`` need Hypothesis (extra ``testing``), which is imported at first
use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names as _lazy_names

__all__ = [
    "Expectation",
    "Feed",
    "FramerFailure",
    "PeerFailure",
    "Reaction",
    "ScriptedPeer",
    "Stream",
    "check_framer",
    "chunked",
    "garbage",
    "messages",
    "msg_ids",
    "prefixes",
    "streams",
]

if TYPE_CHECKING:
    from .framers import Feed, FramerFailure, check_framer
    from .peer import ScriptedPeer
    from .problems import PeerFailure
    from .script import Expectation, Reaction
    from .strategies import Stream, chunked, garbage, messages, msg_ids, prefixes, streams
else:
    _LAZY = dict.fromkeys(__all__, ".strategies") | {
        "Expectation": ".script",
        "Feed": ".framers",
        "FramerFailure": ".framers",
        "PeerFailure": ".problems",
        "Reaction": ".script",
        "ScriptedPeer": ".peer",
        "check_framer": ".framers",
    }
    __getattr__, __dir__ = _lazy_names(__name__, _LAZY, extra="testing")
