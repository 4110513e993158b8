"""``vfiipc inspect``: a live table in which messages can be held and edited.

``entries``, ``store``, ``pairing``, ``rows``, ``details`` and ``gate`` are pure: no I/O, no clock,
no threads. ``live`` and ``recorded`` bring messages in, ``app`` and the widgets show them.
"""

from __future__ import annotations
