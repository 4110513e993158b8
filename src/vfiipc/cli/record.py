"""The recording of ``proxy --record``; if writing fails, the proxy continues without it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..recording import Recorder, Track
from .failures import Failure, describe
from .streams import complain

__all__ = ["RecordedTrack", "Recording"]


class Recording:
    """Records all traffic in a new file, or nothing. Thread safe.

    Args:
        path: the file; None to record nothing.

    Raises:
        Failure: the file cannot be made.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._failed = False
        try:
            self._recorder = None if path is None else Recorder(path)
        except FileExistsError as error:
            raise Failure(f"{path} exists; choose a new file, or remove it") from error
        except OSError as error:
            raise Failure(f"cannot record to {path}: {describe(error)}") from error

    def close(self) -> None:
        """Completes the file.

        Raises:
            Failure: the recording is incomplete. The reason was printed when it failed.
        """
        if self._recorder is not None:
            self.attempt(self._recorder.close)
        if self._failed:
            raise Failure(f"the recording {self._path} is incomplete")

    def connection(self, client: str, server: str) -> RecordedTrack:
        """Begins a connection; see ``Recorder.connection``."""
        tracks: list[Track] = []
        recorder = self._recorder
        if recorder is not None:
            self.attempt(lambda: tracks.append(recorder.connection(client, server)))
        return RecordedTrack(self, tracks[0] if tracks else None)

    def attempt(self, write: Callable[[], object]) -> None:
        """Writes, unless writing has failed before: a capture with a hole would be unreadable."""
        if self._failed:
            return
        try:
            write()
        except OSError as error:
            with self._lock:
                first, self._failed = not self._failed, True
            if first:
                said = f"recording to {self._path} failed: {describe(error)}"
                complain("vfiipc proxy", f"{said}; the proxy continues without recording")


class RecordedTrack:
    """One connection in a recording, or in none; see ``Track``."""

    def __init__(self, recording: Recording, track: Track | None) -> None:
        self._recording = recording
        self._track = track

    def data(self, from_client: bool, data: bytes) -> None:
        track = self._track
        if track is not None:
            self._recording.attempt(lambda: track.data(from_client, data))

    def end(self, from_client: bool) -> None:
        track = self._track
        if track is not None:
            self._recording.attempt(lambda: track.end(from_client))

    def cut(self) -> None:
        if self._track is not None:
            self._recording.attempt(self._track.cut)
