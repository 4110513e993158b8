"""Test tools: a scripted peer, a check for framers, and Hypothesis strategies for streams.

``ScriptedPeer`` replaces a terminal in tests; pytest provides one as the fixture ``ipc_peer``.
``check_framer`` checks a framer of your own. The strategies generate messages, garbage and whole
streams. They and ``check_framer`` need Hypothesis (extra ``testing``), which is imported at first
use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .framers import Feed, FramerFailure, check_framer
    from .peer import ScriptedPeer
    from .problems import PeerFailure
    from .script import Expectation, Reaction
    from .strategies import Stream, chunked, garbage, messages, msg_ids, prefixes, streams

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

_MODULES = {
    "Expectation": "script",
    "Feed": "framers",
    "FramerFailure": "framers",
    "PeerFailure": "problems",
    "Reaction": "script",
    "ScriptedPeer": "peer",
    "check_framer": "framers",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f".{_MODULES.get(name, 'strategies')}", __name__)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        hint = f"vfiipc.testing.{name} needs hypothesis; in a clone: pip install '.[testing]'"
        raise ModuleNotFoundError(hint, name=error.name) from error
    value = getattr(module, name)
    globals()[name] = value
    return value
