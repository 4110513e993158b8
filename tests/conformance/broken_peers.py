"""Peers with one fault each, and the verdicts that they must get.

``python run_peer.py NAME PORT PREFIX LIMIT`` runs one of them.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.conformance.peer import Pair, Peer, Receiver

# Receivers


class DropsFour(Receiver):
    def dropped(self) -> int:
        return 4


class DropsEight(Receiver):
    def dropped(self) -> int:
        return 8


class LimitTooHigh(Receiver):
    def accepts(self, size: int) -> bool:
        return 4 <= size <= 5 + self.limit


class LimitTooLow(Receiver):
    def accepts(self, size: int) -> bool:
        return 4 <= size <= 3 + self.limit


class MinimumThree(Receiver):
    def accepts(self, size: int) -> bool:
        return 3 <= size <= 4 + self.limit


class MinimumFive(Receiver):
    def accepts(self, size: int) -> bool:
        return 5 <= size <= 4 + self.limit


class SignedSize(Receiver):
    """Reads the size as signed, so a negative size is below any limit."""

    def size(self) -> int:
        return int.from_bytes(self.held[4:8], "big", signed=True)

    def accepts(self, size: int) -> bool:
        return size < 0 or super().accepts(size)

    def take(self, size: int) -> Pair:
        return super().take(max(size, 4))


class SizeWraps(Receiver):
    """The length of the whole message is compared, and wraps at 2**32."""

    def accepts(self, size: int) -> bool:
        return size >= 4 and (size + 8) % 2**32 <= 12 + self.limit


class NoTail(Receiver):
    def tail(self) -> int:
        return 0


class ForgetsByte(Receiver):
    """Compares byte by byte, and does not compare a mismatched byte with the first of P again."""

    def find_prefix(self) -> bool:
        state = at = 0
        while at < len(self.held) and state < 4:
            state = state + 1 if self.held[at] == self.mark[state] else 0
            at += 1
        del self.held[: at - state]
        return state == 4


class SearchesData(Receiver):
    """Takes a prefix inside the data for the next message."""

    def take(self, size: int) -> Pair:
        at = self.held.find(self.mark, 12, 8 + size)
        if at < 0:
            return super().take(size)
        msg_id = int.from_bytes(self.held[8:12], "big", signed=True)
        data = bytes(self.held[12:at])
        del self.held[:at]
        return msg_id, data


class LittleEndianSize(Receiver):
    def size(self) -> int:
        return int.from_bytes(self.held[4:8], "little")


class WaitsForData(Receiver):
    """Checks the size only when all the data has arrived."""

    def accepts(self, size: int) -> bool:
        return len(self.held) < 8 + size or super().accepts(size)


class SearchesAtEnd(Receiver):
    def end(self) -> list[Pair]:
        del self.held[:1]
        return self.feed(b"")


class ClaimsMemory(Receiver):
    claim = b""

    def accepts(self, size: int) -> bool:
        accepted = super().accepts(size)
        if accepted and len(self.claim) != size:
            self.claim = bytes(size)
        return accepted


class Quadratic(Receiver):
    """Keeps garbage until a prefix is found, and searches all of it for every piece."""

    #: Small, so that the searches take most of the time, however busy the machine is.
    PIECE = 1 << 14

    def feed(self, data: bytes) -> list[Pair]:
        found: list[Pair] = []
        for at in range(0, len(data), self.PIECE):
            found += super().feed(data[at : at + self.PIECE])
        return found

    def find_prefix(self) -> bool:
        at = self.held.find(self.mark)
        if at < 0:
            return False
        del self.held[:at]
        return True


class WholeReads(Receiver):
    """Assumes that each read returns whole messages."""

    def feed(self, data: bytes) -> list[Pair]:
        self.held.clear()
        return super().feed(data)


class SixteenBits(Receiver):
    """Keeps the length of data in sixteen bits."""

    def take(self, size: int) -> Pair:
        msg_id, data = super().take(size)
        return msg_id, data[: len(data) % 2**16]


class LosesNegative(Receiver):
    """Reads the ID as unsigned, and cannot store values above 2**31 - 1."""

    def feed(self, data: bytes) -> list[Pair]:
        return [(msg_id, data) for msg_id, data in super().feed(data) if msg_id >= 0]


class Strict(Receiver):
    """A strict receiver."""

    fault = False

    def find_prefix(self) -> bool:
        front = bytes(self.held[:4])
        self.fault = self.fault or not self.mark.startswith(front)
        return len(front) == 4 and not self.fault

    def dropped(self) -> int:
        self.fault = True
        return 0


class Crashes(Receiver):
    def accepts(self, size: int) -> bool:
        if size == 2**32 - 1:
            os.abort()
        return super().accepts(size)


# Echoes


class LittleEndianId(Peer):
    def encoded(self, msg_id: int, data: bytes) -> bytes:
        return struct.pack(">II", self.prefix, 4 + len(data)) + struct.pack("<i", msg_id) + data


class LittleEndianAnswer(Peer):
    def encoded(self, msg_id: int, data: bytes) -> bytes:
        return struct.pack(">I", self.prefix) + struct.pack("<Ii", 4 + len(data), msg_id) + data


class OtherPrefix(Peer):
    def encoded(self, msg_id: int, data: bytes) -> bytes:
        return struct.pack(">IIi", self.prefix ^ 1, 4 + len(data), msg_id) + data


class Joins(Peer):
    """Answers messages that arrive together with one message."""

    def answer(self, connection: socket.socket, messages: Iterable[Pair]) -> None:
        if messages := list(messages):
            joined = messages[0][0], b"".join(data for _, data in messages)
            super().answer(connection, [joined])


class AnswersTwice(Peer):
    def encoded(self, msg_id: int, data: bytes) -> bytes:
        return super().encoded(msg_id, data) * 2


class Reorders(Peer):
    def answer(self, connection: socket.socket, messages: Iterable[Pair]) -> None:
        super().answer(connection, reversed(list(messages)))


class SwallowsEmpty(Peer):
    def encoded(self, msg_id: int, data: bytes) -> bytes:
        return super().encoded(msg_id, data) if data else b""


class AddsNewline(Peer):
    def encoded(self, msg_id: int, data: bytes) -> bytes:
        return super().encoded(msg_id, data) + b"\n"


class NeverAnswers(Peer):
    def send(self, connection: socket.socket, stream: bytes) -> None:
        pass


class ClosesAtOnce(Peer):
    def exchange(self, connection: socket.socket) -> None:
        pass


class Floods(Peer):
    """Repeats the first answer without end, as fast as it is read."""

    def send(self, connection: socket.socket, stream: bytes) -> None:
        while True:
            connection.sendall(stream * 1000)


class Drips(Peer):
    def send(self, connection: socket.socket, stream: bytes) -> None:
        for value in stream:
            connection.sendall(bytes([value]))
            time.sleep(0.3)


class CutsThrough(Peer):
    """Sends a message back while it arrives, instead of when it is complete."""

    def exchange(self, connection: socket.socket) -> None:
        receiver = self.receiver(self.prefix, self.limit)
        early = b""
        while data := connection.recv(65536):
            stream = b"".join(self.encoded(*message) for message in receiver.feed(data))
            begun = bytes(receiver.held) if len(receiver.held) >= 12 else b""
            if out := (stream + begun)[len(early) :]:
                connection.sendall(out)
            early = begun


class LosesAtEnd(Peer):
    """Answers after a delay, and only if the stream has not ended by then."""

    def send(self, connection: socket.socket, stream: bytes) -> None:
        time.sleep(0.1)
        if connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"":
            raise ConnectionError

    def answer(self, connection: socket.socket, messages: Iterable[Pair]) -> None:
        if stream := b"".join(self.encoded(*message) for message in messages):
            try:
                self.send(connection, stream)
            except BlockingIOError:
                pass
            connection.sendall(stream)


class StrictPeer(Peer):
    """A correct strict peer."""

    def exchange(self, connection: socket.socket) -> None:
        receiver = Strict(self.prefix, self.limit)
        while not receiver.fault and (data := connection.recv(65536)):
            self.answer_until(receiver, connection, receiver.feed(data))

    def answer_until(
        self, receiver: Strict, connection: socket.socket, messages: list[Pair]
    ) -> None:
        self.answer(connection, messages)


class LosesBeforeFault(StrictPeer):
    """Loses the messages that arrive together with a fault."""

    def answer_until(
        self, receiver: Strict, connection: socket.socket, messages: list[Pair]
    ) -> None:
        if not receiver.fault:
            self.answer(connection, messages)


class StaysAfterFault(StrictPeer):
    """Keeps the connection open after a fault, but sends nothing."""

    def exchange(self, connection: socket.socket) -> None:
        super().exchange(connection)
        while connection.recv(65536):
            pass


class ForgetsFault(StrictPeer):
    """Drops the bytes that it holds at a fault, and continues."""

    def answer_until(
        self, receiver: Strict, connection: socket.socket, messages: list[Pair]
    ) -> None:
        self.answer(connection, messages)
        if receiver.fault:
            receiver.held.clear()
            receiver.fault = False


class ReadsWithTimeout(Peer):
    def begin(self, connection: socket.socket) -> None:
        connection.settimeout(2)
        super().begin(connection)


class OneAtATime(Peer):
    def begin(self, connection: socket.socket) -> None:
        self.serve(connection)


class SharesReceiver(Peer):
    """Uses one receiver for all connections."""

    def __init__(self, prefix: int, limit: int) -> None:
        super().__init__(prefix, limit)
        self.shared = Receiver(prefix, limit)
        self.open = 0
        self.turn = threading.Lock()

    def exchange(self, connection: socket.socket) -> None:
        with self.turn:
            self.open += 1
        try:
            while data := connection.recv(65536):
                with self.turn:
                    messages = self.shared.feed(data)
                self.answer(connection, messages)
        finally:
            with self.turn:
                self.open -= 1
                if not self.open:
                    self.shared.held.clear()


class DiesOfReset(Peer):
    """Exits when one connection has an error."""

    def serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.exchange(connection)
            except OSError:
                os._exit(3)


class Delivered(Peer):
    """A correct echo, whose stream the fault engine damages."""

    delivery: Mapping[str, object] = {}

    def exchange(self, connection: socket.socket) -> None:
        from vfiipc.faults import Delivery, Planner

        planner = Planner(Delivery(**self.delivery))  # type: ignore[arg-type]
        receiver = self.receiver(self.prefix, self.limit)
        while not planner.ended and (data := connection.recv(65536)):
            stream = b"".join(self.encoded(*message) for message in receiver.feed(data))
            self.follow(connection, planner.feed(stream))
        self.follow(connection, planner.finish())

    def follow(self, connection: socket.socket, actions: Iterable[object]) -> None:
        from vfiipc.faults import End, Send, Wait

        for action in actions:
            if isinstance(action, Send):
                connection.sendall(action.data)
            elif isinstance(action, Wait):
                time.sleep(action.seconds)
            elif isinstance(action, End) and action.ending == "reset":
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            elif isinstance(action, End) and action.ending == "silence":
                while connection.recv(65536):
                    pass


# --- declarations


@dataclass(frozen=True)
class Broken:
    """A broken peer, and its verdicts. Cases that are not listed are OK or INFORMATIONAL.

    Attributes:
        kind: the class of the peer.
        about: the cases about its fault, as IDs or globs, by verdict.
        overlaps: cases about other things that also detect the fault, by verdict.
        may: cases that detect the fault only if bytes arrive together, or separately.
        because: the reason for overlaps.
        receiver: the class of the receiver, if only that is wrong.
        delivery: the faults for ``Delivered``.
        mode: the mode that the kit is given.
        scale: the factor for deadlines; small for peers that cause only time-outs.
    """

    kind: type[Peer] = Peer
    about: Mapping[str, str] = field(default_factory=dict)
    overlaps: Mapping[str, str] = field(default_factory=dict)
    may: Mapping[str, str] = field(default_factory=dict)
    because: str = ""
    receiver: type[Receiver] | None = None
    delivery: Mapping[str, object] = field(default_factory=dict)
    mode: str = "auto"
    scale: float = 1.0

    def peer(self, prefix: int, limit: int) -> Peer:
        peer = self.kind(prefix, limit)
        if self.receiver is not None:
            peer.receiver = self.receiver
        if isinstance(peer, Delivered):
            peer.delivery = self.delivery
        return peer


FAILED, NON_STRICT, INCONCLUSIVE = "FAILED", "NON-STRICT", "INCONCLUSIVE"
UNIMPLEMENTED = "UNIMPLEMENTED"
OK, INFORMATIONAL = "OK", "INFORMATIONAL"
EVERYTHING = {INCONCLUSIVE: "*"}
#: The cases with a fault at which a strict receiver stops, except those of chapter 10.
FAULTS = "2.4 4.* 5.1.* 5.4 5.5 5.6 5.7 9.6 9.7"
#: The cases in which only the control message must come back.
CONTROL_ALONE = "8.5 8.6 8.7 8.8 9.8"
_NO_EMPTY_CONTROL = "with L = 0 the control message is empty"

BROKEN: dict[str, Broken] = {
    # the receiver
    "drops 4 bytes": Broken(
        receiver=DropsFour,
        about={FAILED: "4.9.1 4.9.2 4.9.4 4.9.5"},
    ),
    "drops 8 bytes": Broken(
        receiver=DropsEight,
        about={FAILED: "4.6 4.9.1 4.9.2 4.9.4 4.9.5"},
    ),
    "limit too high": Broken(
        receiver=LimitTooHigh,
        about={FAILED: "2.4 5.4 5.5 5.6 5.7"},
    ),
    "limit too low": Broken(
        receiver=LimitTooLow,
        about={FAILED: "5.3"},
        overlaps={FAILED: "1.2.6 9.3 9.4", INCONCLUSIVE: "2.4"},
        because=f"their messages are of L bytes; {_NO_EMPTY_CONTROL}, and above its limit",
    ),
    "minimum 3": Broken(receiver=MinimumThree, about={FAILED: "5.1.4"}),
    "minimum 5": Broken(
        receiver=MinimumFive,
        about={FAILED: "2.1 2.2 2.3"},
        overlaps={FAILED: "4.7", INCONCLUSIVE: "2.4"},
        because=f"4.7 has an empty message; {_NO_EMPTY_CONTROL}",
    ),
    "signed size": Broken(
        receiver=SignedSize,
        about={FAILED: "5.1.6 5.1.7"},
        overlaps={FAILED: "4.6 4.9.1 4.9.4 4.9.5"},
        because="the prefix, read as a size, is negative",
    ),
    "size wraps": Broken(receiver=SizeWraps, about={FAILED: "5.1.7"}),
    "no tail": Broken(
        receiver=NoTail,
        about={FAILED: "6.2.1 6.2.2 6.2.3 7.1"},
        may={FAILED: "4.8 6.1 6.6"},
        because="single bytes may arrive together",
    ),
    "wrong tail": Broken(
        receiver=ForgetsByte,
        about={FAILED: "4.5.*"},
        overlaps={FAILED: "4.9.3 4.9.4 4.9.5"},
        because="there, too, the beginning of a prefix stands before a prefix",
    ),
    "searches data": Broken(receiver=SearchesData, about={FAILED: "1.3.2 1.3.3 1.3.4"}),
    "little-endian size": Broken(receiver=LittleEndianSize, about=EVERYTHING),
    "waits for data": Broken(
        receiver=WaitsForData,
        about={FAILED: "5.5 5.1.5 5.1.6 5.1.7"},
        overlaps={FAILED: "4.6 4.9.1 4.9.4 4.9.5"},
        because="the prefix, read as a size, is a large one",
    ),
    "searches at the end": Broken(receiver=SearchesAtEnd, about={FAILED: "8.4"}),
    "claims memory": Broken(receiver=ClaimsMemory, about={FAILED: "9.8"}),
    "quadratic": Broken(receiver=Quadratic, about={NON_STRICT: "9.6"}),
    "whole reads": Broken(
        receiver=WholeReads,
        about={FAILED: "6.2.* 6.3 6.4 6.5 7.1 7.2 7.3 7.5"},
        overlaps={FAILED: "1.2.6 5.2 5.3 9.1 9.2 9.3 9.4 9.5"},
        may={FAILED: "1.2.4 1.2.5 1.4 4.8 6.1 6.6"},
        because="large messages and halves arrive in pieces",
        scale=0.3,
    ),
    "sixteen bits": Broken(
        receiver=SixteenBits,
        about={FAILED: "1.2.6 5.2 5.3 9.3 9.4 9.5"},
    ),
    "unsigned ID": Broken(
        receiver=LosesNegative,
        about={FAILED: "3.3 3.4"},
        overlaps={FAILED: "3.6 4.7"},
        because="the prefix, read as an ID, is negative",
    ),
    "crashes": Broken(receiver=Crashes, about={FAILED: "5.1.7"}),
    # what is sent back
    "little-endian ID": Broken(
        LittleEndianId,
        about={FAILED: "3.2 3.4 3.5 3.6 3.7"},
        overlaps={FAILED: "4.7"},
        because="the prefix is an ID there",
    ),
    "little-endian answer": Broken(
        LittleEndianAnswer,
        about={FAILED: "1.1"},
        overlaps=EVERYTHING,
        because="the control message is wrong, too",
    ),
    "other prefix": Broken(OtherPrefix, about=EVERYTHING),
    "joins messages": Broken(
        Joins,
        about={FAILED: "1.4 2.2 2.3 3.8 9.2"},
        may={FAILED: "*", NON_STRICT: "8.*"},
        because="Z may arrive together with the message before it",
    ),
    "answers twice": Broken(AnswersTwice, about={FAILED: "*"}),
    "reorders": Broken(
        Reorders,
        about={FAILED: "1.4 2.2 2.3 3.8 9.2"},
        may={FAILED: "*"},
        because="Z may arrive together with the message before it",
    ),
    "swallows empty messages": Broken(
        SwallowsEmpty,
        about={FAILED: "2.1 2.2 2.3"},
        overlaps={FAILED: "4.7", INCONCLUSIVE: "2.4"},
        because=f"4.7 has an empty message; {_NO_EMPTY_CONTROL}",
    ),
    "adds a newline": Broken(AddsNewline, about={FAILED: "*"}),
    "never answers": Broken(NeverAnswers, about=EVERYTHING, scale=0.2),
    "closes at once": Broken(ClosesAtOnce, about=EVERYTHING),
    "floods": Broken(Floods, about={FAILED: "*"}),
    "drips": Broken(
        Drips,
        about=EVERYTHING,
        scale=0.5,
    ),
    "cuts through": Broken(
        CutsThrough,
        about={FAILED: "7.3 7.5"},
        overlaps={FAILED: "6.3 6.4 8.4 9.8"},
        may={FAILED: "6.6 9.1"},
        because="they stop inside data, too",
    ),
    # how connections end
    "loses answers at the end": Broken(LosesAtEnd, about={NON_STRICT: "8.1 8.2 8.3 8.4"}),
    "closes on garbage": Broken(StrictPeer, about={FAILED: FAULTS}, mode="lenient"),
    "loses what is before a fault": Broken(LosesBeforeFault, about={FAILED: "10.2 10.3 10.4"}),
    "stays after a fault": Broken(
        StaysAfterFault, about={NON_STRICT: f"{FAULTS} 10.*"}, mode="strict"
    ),
    "forgets a fault": Broken(
        ForgetsFault,
        about={FAILED: "10.2 10.3 10.4"},
        may=dict.fromkeys((FAILED, NON_STRICT), f"{FAULTS} 10.1"),
        because="what comes together with a fault is forgotten, and only what comes later shows it",
        mode="strict",
    ),
    "goes on after garbage": Broken(about={FAILED: f"{FAULTS} 10.*"}, mode="strict"),
    "reads with a time-out": Broken(
        ReadsWithTimeout,
        about={INFORMATIONAL: "7.4 7.7"},
        may={FAILED: "9.5"},
        because="it waits no longer to write",
    ),
    "one connection at a time": Broken(OneAtATime, about={UNIMPLEMENTED: "9.1 9.8"}),
    "shares its receiver": Broken(
        SharesReceiver,
        about={FAILED: "9.1"},
        may={FAILED: "*", INCONCLUSIVE: "*"},
        because="what a connection has left may still be there when the next one begins",
    ),
    "dies of a reset": Broken(DiesOfReset, about={FAILED: "8.6 8.7 8.8"}),
    # the stream
    "damages a byte": Broken(
        Delivered,
        delivery={"damage": {30: 1}},
        about={FAILED: "*"},
        overlaps={OK: CONTROL_ALONE},
        because="nothing but the control message is sent there",
    ),
    "cuts off": Broken(
        Delivered,
        delivery={"cut_after": 25},
        about={FAILED: "*", NON_STRICT: "8.1 8.2 8.3 8.4"},
        overlaps={UNIMPLEMENTED: "9.1 9.8", OK: CONTROL_ALONE},
        because="the control message alone comes back; a connection beside others is declined",
    ),
    "resets": Broken(
        Delivered,
        delivery={"cut_after": 25, "ending": "reset"},
        about={FAILED: "*", NON_STRICT: "8.1 8.2 8.3 8.4"},
        overlaps={UNIMPLEMENTED: "9.1 9.8", OK: CONTROL_ALONE},
        because="the control message alone comes back; a connection beside others is declined",
    ),
    "falls silent": Broken(
        Delivered,
        delivery={"cut_after": 25, "ending": "silence"},
        about={FAILED: "*", NON_STRICT: "8.1 8.2 8.3 8.4 9.6 9.7"},
        overlaps={OK: CONTROL_ALONE},
        because="nothing but the control message is sent there",
        scale=0.4,
    ),
    "greets": Broken(Delivered, delivery={"garbage": b"hello"}, about=EVERYTHING),
    # nothing is wrong with these
    "answers in pieces": Broken(Delivered, delivery={"pieces": 1000}),
    "answers late": Broken(Delivered, delivery={"delay": 0.01}),
    "ends with a reset": Broken(Delivered, delivery={"ending": "reset"}),
    "strict": Broken(StrictPeer),
    "right": Broken(),
}


def main(name: str, port: str, prefix: str, limit: str) -> None:
    BROKEN[name].peer(int(prefix, 0), int(limit)).run(int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
