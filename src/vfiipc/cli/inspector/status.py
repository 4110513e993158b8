"""The status in the bottom line of the inspector."""

from __future__ import annotations

from ..filters import filter_line
from ..view import counted
from .holding import Holding
from .store import Store

__all__ = ["status_line"]


def status_line(store: Store, holding: Holding, filter_text: str, *, following: bool) -> str:
    """Counts of messages, the filter, what is held, and whether the table follows.

    Args:
        store: the messages.
        holding: the held messages.
        filter_text: the filter as the user typed it; empty if there is none.
        following: whether the cursor follows the latest message.
    """
    parts = [counted(store.messages, "message")]
    if store.dropped:
        parts.append(f"{store.dropped:,} no longer kept")
    if filter_text:
        parts.append(f"{len(store.shown):,} shown: {filter_text}")
    if store.unfiltered:
        parts.append(f"{store.unfiltered:,} to filter")
    if holding.chosen is not None:
        held = filter_line(holding.chosen) or "everything"
        parts.append(f"holding {held}: {holding.count}")
    elif holding.count:
        parts.append(f"held: {holding.count}")
    parts.append("following" if following else "paused")
    return "; ".join(parts)
