"""A receiver as plain as can be: it keeps the whole stream and reads the rules byte by byte."""

from __future__ import annotations

from vfiipc.codec import Message, SyncLostError

HEADER_SIZE = 12
JUDGED_SIZE = 8


class Model:
    """``spec/framing.md``, 4, without any thought of speed, memory or the codec's declaration."""

    def __init__(self, prefix: int, size_limit: int, *, strict: bool = False) -> None:
        self.prefix, self.size_limit, self.strict = prefix, size_limit, strict
        self.stream = b""
        self.at = self.discarded = 0
        self.fault: SyncLostError | None = None
        self.asked = False  # whether the last thing that happened was an ask for more

    def next_message(self) -> Message | None:
        self.refuse_after_fault()
        self.asked = False
        mark, highest = self.prefix.to_bytes(4, "big"), 4 + self.size_limit
        while True:
            found = self.stream[self.at : self.at + JUDGED_SIZE]
            size = int.from_bytes(found[4:], "big")
            judged = len(found) == JUDGED_SIZE
            if not mark.startswith(found[:4]) or (judged and not 4 <= size <= highest):
                self.drop_a_byte(found)
            elif not judged or self.pending < JUDGED_SIZE + size:
                self.asked = True
                return None
            else:
                head, self.at = self.at, self.at + JUDGED_SIZE + size
                msg_id = int.from_bytes(self.stream[head + 8 : head + 12], "big", signed=True)
                return Message(msg_id, self.stream[head + HEADER_SIZE : self.at])

    def drop_a_byte(self, found: bytes) -> None:
        if self.strict:
            self.fault = SyncLostError(self.at, found, "")
            raise self.fault
        self.at += 1
        self.discarded += 1

    # What follows from that, and what the codec offers besides.

    def drain(self) -> list[Message]:
        messages: list[Message] = []
        try:
            while (message := self.next_message()) is not None:
                messages.append(message)
        except SyncLostError:
            if not messages:
                raise
        return messages

    def refuse_after_fault(self) -> None:
        if self.fault is not None:
            raise self.fault

    def receive_data(self, data: bytes) -> None:
        self.refuse_after_fault()
        self.stream += data
        self.asked = self.asked and not data

    def take(self, n: int) -> bytes:
        taken = self.peek(n)
        self.at += len(taken)
        self.asked = self.asked and not n
        return taken

    def peek(self, n: int) -> bytes:
        return self.stream[self.at : self.at + n]

    def change(self, *, prefix: int | None = None, size_limit: int | None = None) -> None:
        before = self.prefix, self.size_limit
        self.prefix = self.prefix if prefix is None else prefix
        self.size_limit = self.size_limit if size_limit is None else size_limit
        self.asked = self.asked and before == (self.prefix, self.size_limit)

    @property
    def pending(self) -> int:
        return len(self.stream) - self.at

    def bytes_wanted(self) -> int:
        if not self.pending:
            return HEADER_SIZE
        if not self.asked:
            return 1
        if self.pending < JUDGED_SIZE:
            return HEADER_SIZE - self.pending
        return JUDGED_SIZE + int.from_bytes(self.peek(JUDGED_SIZE)[4:], "big") - self.pending
