"""Exchanges notifications between servers: unicasts, broadcasts, observations."""

from __future__ import annotations

from collections.abc import Iterable

from .actions import (
    Action,
    Deliver,
    Forward,
    GiveBack,
    Observed,
    Spread,
    TellUndeliverable,
    UnicastTicket,
)
from .bus import Arrival
from .envelopes import (
    OBSERVATIONS,
    Envelope,
    broadcast_subject,
    decode_notify,
    decode_observation,
    node_subject,
)
from .messages import encode
from .outbox import Outbox
from .peers import Peers
from .requests import UnicastRequests
from .router import Router
from .unicast_errors import UnicastErrors
from .windows import Windows

__all__ = ["Traffic"]


class Traffic:
    """Sends the router's actions to other servers, and passes their envelopes to the router.

    Args:
        outbox: collects the output.
        router: the router of this server.
        peers: the other servers.
    """

    def __init__(self, outbox: Outbox, router: Router, peers: Peers) -> None:
        self._outbox = outbox
        self._router = router
        self._peers = peers
        self._windows = Windows()
        self._requests = UnicastRequests()
        self._errors = UnicastErrors()

    # --- to others

    def carry(self, actions: Iterable[Action], now: float) -> None:
        """Carries out the actions of the router."""
        for action in actions:
            if isinstance(action, Forward):
                self._forward(action, now)
            elif isinstance(action, Spread):  # NFY-G14
                subject = broadcast_subject(action.notify.notification)
                self._outbox.publish(subject, "broadcast", encode(action.notify))
            elif isinstance(action, GiveBack):
                node, reference, holder = action.ticket
                head: dict[str, object] = {"reference": reference, "holder": holder}
                self._outbox.publish(node_subject(node), "returned", head=head)
            elif isinstance(action, TellUndeliverable):
                self._tell(self._errors.tell(action))
            else:
                if isinstance(action, Observed) and self._router.is_watched:  # NFY-G15
                    body = encode(action.observation)
                    self._outbox.publish(OBSERVATIONS, "observation", body)
                self._outbox.add(action)

    def _forward(self, forward: Forward, now: float) -> None:
        registration, unicast = forward
        client = self._peers.client(registration.client)
        if client is None:
            self.carry(self._router.not_taken(unicast, registration.client), now)
            return
        node, session, number = client
        head: dict[str, object] = {
            "to": session,
            "client": number,
            "age": registration.age,
            "receiver": registration.receiver,
            "reference": unicast.notify.reference,
            "holder": registration.client,
        }
        body = encode(unicast.notify)
        reply = self._outbox.request(node_subject(node), "unicast", body, head)
        self._requests.add(reply, forward, now)
        self._errors.asked(unicast)

    def _tell(self, errors: Iterable[TellUndeliverable]) -> None:
        for error in errors:
            self._outbox.add(error)

    def answered(self, reply: str, kind: str, now: float) -> None:
        """Handles a reply, ``taken`` or ``gone``, or the reason why there is none (NFY-G12).

        The reason is ``nobody`` if the server is gone, and ``unsent`` without the bus.
        """
        forward = self._requests.pop(reply)
        if forward is None:
            return
        registration, unicast = forward
        if kind == "nobody":
            unicast.unreachable.add(registration.node)
        elif kind == "unsent":
            unicast.unreachable.update(peer.node for peer in self._peers)
        if kind != "taken":
            self.carry(self._router.not_taken(unicast, registration.client), now)
        self._tell(self._errors.decided(unicast))

    def excuse(self, seconds: float) -> None:
        """Extends all deadlines, because this server could not receive for some time."""
        self._requests.excuse(seconds)

    def tick(self, now: float) -> None:
        """Gives up the requests whose reply is overdue."""
        for forward in self._requests.overdue(now):
            self.carry(self._router.lost(forward.unicast, forward.registration.client), now)
            self._tell(self._errors.decided(forward.unicast))

    # --- from others

    def take(self, envelope: Envelope, incoming: Arrival, now: float) -> None:
        """Handles an envelope; ignores unknown kinds.

        Raises:
            MalformedPayload: it is malformed.
        """
        kind = envelope.kind
        if kind == "unicast":
            self._unicast(envelope, incoming, now)
        elif kind == "returned":
            self.carry(self._router.given_back(_ticket(envelope)), now)
        elif kind == "broadcast" and self._is_first(envelope):
            notify = decode_notify(envelope.body)
            self.carry(self._router.take_broadcast(notify, envelope.node), now)
        elif kind == "observation" and self._is_first(envelope):
            seen = decode_observation(envelope.body)
            self._outbox.add(Observed(self._router.observers, seen))

    def _unicast(self, envelope: Envelope, incoming: Arrival, now: float) -> None:
        to = envelope.string("to")
        if to not in self._outbox.sessions or not self._is_first(envelope):
            return  # no reply: a duplicate must not decide the outcome (NFY-G10)
        ticket = _ticket(envelope)
        client, age = envelope.integer("client"), envelope.integer("age")
        actions: list[Action] = []
        if to == self._outbox.session:  # otherwise its sender has given up on it (NFY-G6)
            notify = decode_notify(envelope.body)
            receiver = envelope.string("receiver")
            actions = self._router.take(notify, ticket, client, age, receiver)
        is_taken = any(isinstance(action, Deliver) for action in actions)
        if incoming.reply:
            self._outbox.publish(incoming.reply, "taken" if is_taken else "gone")
        self.carry(actions, now)

    def _is_first(self, envelope: Envelope) -> bool:
        return self._windows.is_first(envelope.session, envelope.number)


def _ticket(envelope: Envelope) -> UnicastTicket:
    return UnicastTicket(envelope.node, envelope.integer("reference"), envelope.integer("holder"))
