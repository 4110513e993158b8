"""The protocol between several servers, as a state machine without sockets, clock or tasks.

``Node`` takes messages from the bus, actions of the router, and the time. It returns output in
order: messages and subscriptions for the bus, log lines, and actions for this server's clients.
Rules: ``spec/notify.md``, section 13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from .actions import Action
from .bus import Arrival, Publish, Subscribe, Unsubscribe
from .envelopes import (
    OBSERVATIONS,
    REGISTRATIONS,
    Envelope,
    broadcast_subject,
    decode_envelope,
    encode_changes,
    node_subject,
    registrations_subject,
    snapshots_subject,
)
from .json_members import MalformedPayload
from .messages import check_id
from .outbox import NameTaken, Outbox, Output
from .peers import EXPIRY, HEARTBEAT, MAX_IMPORTED, PeerNode, Peers
from .router import Router
from .traffic import Traffic

__all__ = ["Node"]

#: Seconds to wait for an objection of another server with the same name.
_CLAIM: Final = 1.0


class Node:
    """This server on the bus.

    Args:
        name: the name, unique on the bus.
        router: the router of this server, created with ``shared=True``.
        sessions: returns a new session ID: letters and digits, unique, and sorting by time. Of two
            servers with the same name, the one with the earlier session stays.
        max_imported: maximum number of registrations to import from each other server.
    """

    def __init__(
        self,
        name: str,
        router: Router,
        *,
        sessions: Callable[[], str],
        max_imported: int = MAX_IMPORTED,
    ) -> None:
        self.name = check_id(name, "the name of a server")
        self._router = router
        self._outbox = Outbox(name, sessions)
        self._peers = Peers(router, max_imported, self._outbox.say)
        self._traffic = Traffic(self._outbox, router, self._peers)
        self._version = 0
        self._topics: set[str] = set()
        self._observes = False
        self._now = self._beaten = 0.0
        #: When the time for objections to the name ends; 0 if there is no claim.
        self._claimed = 0.0
        self._claim_reply = ""
        self._complained = False
        #: Whether this server has claimed its name.
        self.is_joined = False
        self._handlers: dict[str, Callable[[Envelope, Arrival], None]] = {
            "beat": self._beat_came,
            "change": self._change_came,
            "snapshot": self._snapshot_came,
            "leave": self._leave_came,
            "ask": self._ask_came,
        }

    @property
    def peers(self) -> Peers:
        """The other servers."""
        return self._peers

    # --- events

    def join(self, now: float) -> list[Output]:
        """Claims the name. Later, ``is_joined`` becomes True, or there is a ``NameTaken``."""
        self._now = now
        self._outbox.add(Subscribe(self._outbox.replies))
        self._claim()
        return self._done()

    def _claim(self) -> None:
        self._claimed = self._now + _CLAIM
        self._claim_reply = self._outbox.request(node_subject(self.name), "claim")

    def leave(self, now: float) -> list[Output]:
        """Tells the other servers that this one leaves."""
        self._now = now
        if self.is_joined:
            self._outbox.publish(registrations_subject(self.name), "leave")
            self.is_joined = False
        return self._done()

    def connected(self, now: float) -> list[Output]:
        """Handles a restored connection to the bus."""
        self._wake(now)
        if self.is_joined:
            self._beat()
        return self._done()

    def tick(self, now: float) -> list[Output]:
        """Handles everything that is due. Call it several times a second."""
        self._wake(now)
        self._peers.expire(now)
        self._look_for_observers()
        self._traffic.tick(now)
        if self._claimed and now >= self._claimed:
            self._name_is_free()  # nobody has objected
        if self.is_joined and now - self._beaten >= HEARTBEAT:
            self._beat()
        return self._done()

    def carry(self, now: float, actions: Iterable[Action]) -> list[Output]:
        """Carries out actions of the router, and sends changes of registrations."""
        self._wake(now)
        self._traffic.carry(actions, now)
        return self._done()

    def receive(self, now: float, arrived: Iterable[Arrival]) -> list[Output]:
        """Handles messages from the bus, in any order."""
        self._wake(now)
        envelopes = []
        for incoming in arrived:
            if incoming.nobody:
                self._answered(incoming.subject, "nobody")
                continue
            try:
                envelope = decode_envelope(incoming.data)
            except MalformedPayload as fault:
                self._complain(fault)
                continue
            envelopes.append((envelope, incoming))
        # Handle the envelopes of each server in the order in which it sent them (NFY-G10).
        envelopes.sort(key=lambda each: (each[0].session, each[0].number))
        for envelope, incoming in envelopes:
            try:
                self._take(envelope, incoming)
            except MalformedPayload as fault:
                self._complain(fault)
        self._look_for_observers()
        return self._done()

    def unsent(self, now: float, publish: Publish) -> list[Output]:
        """Handles a message that the bus could not send."""
        self._now = now
        if publish.reply:
            self._answered(publish.reply, "unsent")
        return self._done()

    def _wake(self, now: float) -> None:
        """Handles a pause of this process: other servers may have removed it (NFY-G6)."""
        paused = now - self._now - HEARTBEAT
        self._now = now
        if self.is_joined and paused > 0:
            self._peers.excuse(paused)
            self._traffic.excuse(paused)
        if self.is_joined and now - self._beaten >= EXPIRY:
            self._outbox.begin_session()
            self._outbox.say(
                "this server was not running for some time; %s begins a new session", self.name
            )
            self._beat()

    def _done(self) -> list[Output]:
        if self.is_joined:
            self._tell_changes()
        return self._outbox.take()

    def _look_for_observers(self) -> None:
        self._router.is_watched = any(peer.observes for peer in self._peers)

    def _complain(self, fault: MalformedPayload) -> None:
        if not self._complained:  # NFY-G3
            self._complained = True
            text = "ignoring a malformed envelope from the bus: %s (logged only once)"
            self._outbox.say(text, str(fault), warn=True)

    # --- sending

    def _name_is_free(self) -> None:
        self._claimed = 0.0
        if self.is_joined:
            return
        self.is_joined = True
        own = self.name
        for subject in (REGISTRATIONS, snapshots_subject(own), node_subject(own)):
            self._outbox.add(Subscribe(subject))
        self._topics.clear()
        self._router.take_changes()  # other servers ask for a snapshot
        self._subscribe()
        self._beat()

    def _beat(self, asker: str | None = None) -> None:
        if asker is None:
            self._beaten = self._now
        head: dict[str, object] = {
            "version": self._version,
            "registrations": self._router.registered,
            "observes": int(bool(self._router.observers)),
        }
        self._outbox.publish(registrations_subject(self.name, asker), "beat", head=head)

    def _subscribe(self) -> None:
        """Subscribes to broadcasts with the notification IDs for which clients have registered."""
        wanted = self._router.topics
        for topic in wanted - self._topics:
            self._outbox.add(Subscribe(broadcast_subject(topic)))
        for topic in self._topics - wanted:
            self._outbox.add(Unsubscribe(broadcast_subject(topic)))
        self._topics = set(wanted)

    def _tell_changes(self) -> None:
        changes = self._router.take_changes()
        if changes:
            self._subscribe()  # first, so that no message sent in response is missed
            for body in encode_changes(changes):
                self._version += 1
                subject = registrations_subject(self.name)
                self._outbox.publish(subject, "change", body, {"version": self._version})
        if self._observes != bool(self._router.observers):
            self._observes = not self._observes
            subscribed = Subscribe if self._observes else Unsubscribe
            self._outbox.add(subscribed(OBSERVATIONS))
            self._beat()

    # --- receiving

    def _take(self, envelope: Envelope, incoming: Arrival) -> None:
        if envelope.session in self._outbox.sessions:
            return
        if envelope.node == self.name:
            self._namesake_came(envelope, incoming)
            return
        if not self.is_joined:
            return
        handle = self._handlers.get(envelope.kind)
        if handle is not None:
            handle(envelope, incoming)
        elif envelope.kind in ("taken", "gone"):
            self._answered(incoming.subject, envelope.kind)
        else:
            self._traffic.take(envelope, incoming, self._now)

    def _namesake_came(self, envelope: Envelope, incoming: Arrival) -> None:
        """Handles an envelope of another server with the name of this one (NFY-G4)."""
        if envelope.kind == "claim" and self.is_joined and incoming.reply:
            self._outbox.publish(incoming.reply, "held")
        elif envelope.kind == "held" and incoming.subject == self._claim_reply:
            self._claimed = 0.0
            self.is_joined = False
            self._outbox.add(NameTaken(self.name))
        elif envelope.kind == "beat" and self.is_joined:
            if envelope.session > self._outbox.session:
                self._beat()  # shows the other server that this one was first
            elif not self._claimed:  # the heartbeat may be old: ask whether the other server runs
                self._claim()

    def _registrant(self, envelope: Envelope, incoming: Arrival) -> PeerNode | None:
        """The sender of an envelope about its registrations; None if unknown."""
        _check_own(envelope, incoming)
        peer = self._peers.live(envelope)
        if peer is not None:
            peer.heard = self._now
        return peer

    def _beat_came(self, envelope: Envelope, incoming: Arrival) -> None:
        _check_own(envelope, incoming)
        met = self._peers.meet(envelope, self._now)
        if met is not None:
            self._beat(met.node)  # so that it need not wait for the next heartbeat
        peer = self._peers.live(envelope)
        if peer is not None:
            peer.observes = envelope.integer("observes") == 1
            if self._peers.is_behind(peer, envelope):
                self._ask(peer)

    def _ask(self, peer: PeerNode) -> None:
        if self._now - peer.asked >= HEARTBEAT:
            peer.asked = self._now
            self._outbox.publish(node_subject(peer.node), "ask")

    def _change_came(self, envelope: Envelope, incoming: Arrival) -> None:
        peer = self._registrant(envelope, incoming)
        if peer is not None and not self._peers.change(peer, envelope):
            self._ask(peer)

    def _snapshot_came(self, envelope: Envelope, incoming: Arrival) -> None:
        peer = self._registrant(envelope, incoming)
        if peer is not None:
            self._peers.part(peer, envelope)

    def _leave_came(self, envelope: Envelope, incoming: Arrival) -> None:
        peer = self._registrant(envelope, incoming)
        if peer is not None:
            self._peers.leave(peer)

    def _ask_came(self, envelope: Envelope, _: Arrival) -> None:
        peer = self._peers.live(envelope)
        if peer is None or self._now - peer.answered < HEARTBEAT / 2:
            return
        peer.answered = self._now
        self._tell_changes()
        bodies = list(encode_changes(self._router.own()))
        subject = registrations_subject(self.name, peer.node)
        for part, body in enumerate(bodies):
            head: dict[str, object] = {"version": self._version, "part": part}
            head["parts"] = len(bodies)
            self._outbox.publish(subject, "snapshot", body, head)

    def _answered(self, subject: str, kind: str) -> None:
        if subject == self._claim_reply:
            if kind in ("nobody", "unsent") and self._claimed:
                self._name_is_free()
            return
        self._traffic.answered(subject, kind, self._now)


def _check_own(envelope: Envelope, incoming: Arrival) -> None:
    """Refuses envelopes about the registrations of another server (NFY-G8)."""
    subject = registrations_subject(envelope.node)
    if incoming.subject != subject and not incoming.subject.startswith(f"{subject}."):
        raise MalformedPayload("the sender and the subject name different servers")
