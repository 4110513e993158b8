"""The other servers on the bus, as one server knows them, and their registrations.

A server numbers the changes of its registrations. The number of the last change is the version of
its registrations. A server that missed a change asks for a snapshot of all registrations. Callers
pass the time in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from .envelopes import Envelope, decode_changes
from .json_members import MalformedPayload
from .messages import Unregister
from .registrations import Change, Departed, Registered, Withdrawn
from .router import Router

__all__ = ["EXPIRY", "HEARTBEAT", "MAX_IMPORTED", "MAX_NODES", "PeerNode", "Peers"]

#: Seconds between the heartbeats of a server.
HEARTBEAT: Final = 1.0
#: Seconds without an envelope after which a server has expired. This is checked every 0.25 s, so it
#: takes at most 3 s.
EXPIRY: Final = 2.75
#: Maximum number of registrations imported from another server.
MAX_IMPORTED: Final = 65536
#: Maximum number of other servers.
MAX_NODES: Final = 1024

_MAX_AHEAD: Final = 1024
_MAX_PARTS: Final = 65536


class Snapshot(NamedTuple):
    """The parts of a snapshot that have arrived."""

    version: int
    parts: dict[int, list[Change]]


class PeerNode:
    """Another server, in one of its sessions."""

    __slots__ = (
        "ahead",
        "answered",
        "asked",
        "clients",
        "heard",
        "is_cut",
        "node",
        "observes",
        "registrations",
        "session",
        "snapshot",
        "version",
    )

    def __init__(self, node: str, session: str, now: float) -> None:
        self.node = node
        self.session = session
        self.heard = now
        #: When this server last asked for a snapshot, and last sent one.
        self.asked = self.answered = -HEARTBEAT
        #: The version of the imported registrations; -1 before the first import.
        self.version = -1
        #: The number of imported registrations, and whether the limit was reached.
        self.registrations = 0
        self.is_cut = False
        self.observes = False
        #: The numbers of its clients, mapped to their numbers in the router.
        self.clients: dict[int, int] = {}
        #: Changes that arrived too early, by version.
        self.ahead: dict[int, list[Change]] = {}
        self.snapshot = Snapshot(-1, {})


class Peers:
    """All other servers.

    Args:
        router: imports their registrations.
        most: maximum number of registrations to import from each server.
        say: logs a text about a server, given its name.
    """

    def __init__(self, router: Router, most: int, say: Callable[[str, str], None]) -> None:
        self._router = router
        self._most = most
        self._say = say
        self._peers: dict[str, PeerNode] = {}
        #: Clients of other servers, by their numbers in the router.
        self._clients: dict[int, tuple[str, str, int]] = {}

    def __iter__(self) -> Iterator[PeerNode]:
        return iter(self._peers.values())

    def __len__(self) -> int:
        return len(self._peers)

    def live(self, envelope: Envelope) -> PeerNode | None:
        """The sender, if it is known in this session and has not expired."""
        peer = self._peers.get(envelope.node)
        return peer if peer is not None and peer.session == envelope.session else None

    def client(self, number: int) -> tuple[str, str, int] | None:
        """The server, session and number of a client of another server; None if unknown."""
        return self._clients.get(number)

    # --- joining and leaving

    def meet(self, envelope: Envelope, now: float) -> PeerNode | None:
        """Handles a heartbeat; returns the server if it, or its session, is new (NFY-G6)."""
        former = self._peers.get(envelope.node)
        if former is not None and former.session == envelope.session:
            former.heard = now
            return None
        if former is not None:
            self._remove(former)
        if len(self._peers) >= MAX_NODES:
            self._say("too many servers; ignoring %s", envelope.node)
            return None
        peer = self._peers[envelope.node] = PeerNode(envelope.node, envelope.session, now)
        if former is None:
            self._say("server %s has joined", peer.node)
        return peer

    def leave(self, peer: PeerNode, text: str = "server %s has left") -> None:
        """Removes a server with all its registrations."""
        self._say(text, peer.node)
        self._remove(peer)

    def expire(self, now: float) -> None:
        """Removes the servers that have expired (NFY-G5)."""
        for peer in [peer for peer in self if now - peer.heard >= EXPIRY]:
            self.leave(peer, "server %s is gone: no heartbeat")

    def excuse(self, seconds: float) -> None:
        """Extends all deadlines, because this server could not receive for some time."""
        for peer in self:
            peer.heard += seconds

    def _remove(self, peer: PeerNode) -> None:
        del self._peers[peer.node]
        for client in list(peer.clients):
            self._depart(peer, client)

    # --- registrations

    def is_behind(self, peer: PeerNode, envelope: Envelope) -> bool:
        """Whether a heartbeat shows that registrations must be imported."""
        room = envelope.integer("registrations") <= self._most
        return peer.version < envelope.integer("version") or (peer.is_cut and room)

    def change(self, peer: PeerNode, envelope: Envelope) -> bool:
        """Imports changes; returns False if earlier ones are missing (NFY-G7).

        Raises:
            MalformedPayload: the envelope is malformed.
        """
        version = envelope.integer("version")
        if version > peer.version and len(peer.ahead) < _MAX_AHEAD:
            peer.ahead[version] = decode_changes(envelope.body)
        return self._catch_up(peer)

    def _catch_up(self, peer: PeerNode) -> bool:
        if peer.version >= 0:
            while (changes := peer.ahead.pop(peer.version + 1, None)) is not None:
                peer.version += 1
                for change in changes:
                    self._import(peer, change)
        for version in [version for version in peer.ahead if version <= peer.version]:
            del peer.ahead[version]
        return not peer.ahead

    def part(self, peer: PeerNode, envelope: Envelope) -> None:
        """Handles a part of a snapshot, which replaces all registrations once it is complete.

        Raises:
            MalformedPayload: the envelope is malformed.
        """
        version, parts = envelope.integer("version"), envelope.integer("parts")
        number = envelope.integer("part")
        if version < peer.version or (version == peer.version and not peer.is_cut):
            return
        if not number < parts <= _MAX_PARTS:
            raise MalformedPayload("the part is out of range")
        if peer.snapshot.version != version:
            peer.snapshot = Snapshot(version, {})
        found = peer.snapshot.parts
        held = sum(map(len, found.values()))
        found[number] = decode_changes(envelope.body) if held <= self._most else []
        if len(found) == parts:
            peer.snapshot = Snapshot(-1, {})
            peer.version = version
            self._replace(peer, [change for n in sorted(found) for change in found[n]])
            self._catch_up(peer)

    def _replace(self, peer: PeerNode, changes: Iterable[Change]) -> None:
        """Replaces all registrations. Clients that remain keep their numbers in the router."""
        wanted = {
            (change.client, change.wish.notification, change.wish.to): change
            for change in changes
            if isinstance(change, Registered)
        }
        peer.is_cut = False
        clients = {client for client, _, _ in wanted}
        for client, number in list(peer.clients.items()):
            if client not in clients:
                self._depart(peer, client)
                continue
            for _, age, wish in list(self._router.registrations(number)):
                found = wanted.get((client, wish.notification, wish.to))
                if found is None or found.age != age:
                    self._import(peer, Withdrawn(client, Unregister(wish.to, wish.notification)))
                else:
                    del wanted[client, wish.notification, wish.to]
        for change in wanted.values():
            self._import(peer, change)

    def _import(self, peer: PeerNode, change: Change) -> None:
        if isinstance(change, Departed):
            self._depart(peer, change.client)
            return
        number = peer.clients.get(change.client)
        if number is not None:
            former = Unregister(change.wish.to, change.wish.notification)
            peer.registrations -= self._router.unregister(number, former)
        if isinstance(change, Registered):
            number = self._register(peer, change, number)
        if number is not None and next(self._router.registrations(number), None) is None:
            self._depart(peer, change.client)

    def _register(self, peer: PeerNode, change: Registered, number: int | None) -> int | None:
        if peer.registrations >= self._most:  # NFY-G8
            if not peer.is_cut:
                self._say("server %s has too many registrations; ignoring some of them", peer.node)
            peer.is_cut = True
            return number
        if number is None:
            number = self._router.join(local=False, node=peer.node)  # NFY-G9
            peer.clients[change.client] = number
            self._clients[number] = (peer.node, peer.session, change.client)
        self._router.register(number, change.wish, change.age)
        peer.registrations += 1
        return number

    def _depart(self, peer: PeerNode, client: int) -> None:
        number = peer.clients.pop(client, None)
        if number is not None:
            del self._clients[number]
            peer.registrations -= sum(1 for _ in self._router.registrations(number))
            self._router.gone(number)
