"""Saves messages of the table as a capture."""

from __future__ import annotations

from collections.abc import Iterable

from ...recording import Recorder, Track
from ..failures import Failure, describe
from .entries import DROPPED, HELD, Entry

__all__ = ["save"]


def save(path: str, entries: Iterable[Entry]) -> int:
    """Makes a capture, which only its owner can read, of the messages among the entries.

    Each connection becomes one, with the times and addresses of the messages; what was not a
    message is not in it, nor what was held or dropped.

    Returns:
        How many messages there are in it.

    Raises:
        Failure: it cannot be written; nothing is overwritten.
    """
    tracks: dict[int, Track] = {}
    count = 0
    try:
        with Recorder(path) as recorder:
            for entry in entries:
                if entry.message is None or entry.state in (HELD, DROPPED):
                    continue
                way = entry.way
                track = tracks.get(way.connection)
                if track is None:
                    client, server = way.sender, way.receiver
                    if not way.from_client:
                        client, server = server, client
                    track = recorder.connection(client, server, entry.time)
                    tracks[way.connection] = track
                track.data(way.from_client, entry.frame, entry.time)
                count += 1
    except FileExistsError as error:
        raise Failure(f"{path} exists; choose a new file, or remove it") from error
    except (OSError, ValueError) as error:
        raise Failure(f"cannot save to {path}: {describe(error)}") from error
    return count
