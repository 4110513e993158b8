"""A receiver written from ``spec/framing.md`` alone, one method a rule; speed does not matter."""

from __future__ import annotations

from vfiipc.codec import Message, SyncLostError

HEADER_SIZE = 12
PREFIX_AND_SIZE = 8


class Model:
    """Has the members of ``Framer``, but neither its code nor the codec's declaration."""

    def __init__(self, prefix: int, size_limit: int, *, strict: bool = False) -> None:
        self._prefix = self.checked("prefix", prefix, 2**32 - 1)
        self._size_limit = self.checked("size_limit", size_limit, 2**31 - 5)
        self._strict = strict
        self.held = bytearray()
        self.received = self.discarded = 0
        self.fault: tuple[int, bytes, str] | None = None
        self.asked = False  # whether an ask has found that more is needed, and nothing came since

    # The receiver algorithm (4.3, 4.4)

    def next_message(self) -> Message | None:
        self.refuse_after_fault()
        message = self.ask()
        self.asked = message is None
        return message

    def ask(self) -> Message | None:
        while self.find_prefix() and len(self.held) >= PREFIX_AND_SIZE:  # FRM-R4
            size = self.size()
            if not self.accepts(size):
                self.refuse_size()
            elif len(self.held) < PREFIX_AND_SIZE + size:  # FRM-R6
                return None
            else:
                return self.deliver(size)
        return None

    def find_prefix(self) -> bool:
        """Whether the prefix is at the front."""
        mark = self.prefix.to_bytes(4, "big")
        if self.strict:  # FRM-F1
            front = self.held[:4]
            if not mark.startswith(front):
                self.lose_sync()
            return len(front) == 4
        # Gigabytes of garbage: looking for a single byte first takes a tenth of the time.
        at = self.held.find(mark) if mark[0] in self.held else -1
        if at >= 0:
            self.drop(at)  # FRM-R2
        else:
            self.drop(len(self.held) - self.tail(mark))  # FRM-R3
        return at >= 0

    def tail(self, mark: bytes) -> int:
        """How many of the last bytes may be the beginning of a prefix."""
        lengths = (t for t in (3, 2, 1) if t <= len(self.held))
        return next((t for t in lengths if mark.startswith(self.held[-t:])), 0)

    def size(self) -> int:
        return int.from_bytes(self.held[4:PREFIX_AND_SIZE], "big")

    def accepts(self, size: int) -> bool:
        return size >= 4 and size - 4 <= self.size_limit

    def refuse_size(self) -> None:
        if self.strict:
            self.lose_sync()  # FRM-F2
        self.drop(1)  # FRM-R5

    def deliver(self, size: int) -> Message:
        message = bytes(self.held[: PREFIX_AND_SIZE + size])  # FRM-R7
        del self.held[: PREFIX_AND_SIZE + size]
        return Message(int.from_bytes(message[8:12], "big", signed=True), message[12:])

    def drop(self, count: int) -> None:
        del self.held[:count]
        self.discarded += count

    def lose_sync(self) -> None:
        position = self.received - self.pending  # FRM-F3
        self.fault = position, bytes(self.held[:PREFIX_AND_SIZE]), ""  # FRM-F4
        raise SyncLostError(*self.fault)

    def refuse_after_fault(self) -> None:
        if self.fault is not None:
            raise SyncLostError(*self.fault)  # FRM-F6

    def drain(self) -> list[Message]:
        messages: list[Message] = []
        try:
            while (message := self.next_message()) is not None:
                messages.append(message)
        except SyncLostError:
            if not messages:  # FRM-F5
                raise
        return messages

    # Bytes in, raw bytes out

    def receive_data(self, data: bytes) -> None:
        self.refuse_after_fault()
        self.held += data  # FRM-R1
        self.received += len(data)
        if data:  # FRM-E11
            self.asked = False

    def take(self, n: int) -> bytes:
        taken = self.peek(n)
        del self.held[:n]  # FRM-E7
        if taken:  # FRM-E11
            self.asked = False
        return taken

    def peek(self, n: int) -> bytes:
        return bytes(memoryview(self.held)[:n])

    @property
    def pending(self) -> int:
        return len(self.held)

    # Parameters that change (4.6)

    @property
    def prefix(self) -> int:
        return self._prefix

    @prefix.setter
    def prefix(self, prefix: int) -> None:
        former, self._prefix = self._prefix, self.checked("prefix", prefix, 2**32 - 1)
        self.changed("prefix", former, prefix)

    @property
    def size_limit(self) -> int:
        return self._size_limit

    @size_limit.setter
    def size_limit(self, size_limit: int) -> None:
        former, self._size_limit = (
            self._size_limit,
            self.checked("size_limit", size_limit, 2**31 - 5),
        )
        self.changed("size_limit", former, size_limit)

    @property
    def strict(self) -> bool:
        return self._strict

    @strict.setter
    def strict(self, strict: bool) -> None:
        former, self._strict = self._strict, strict
        self.changed("strict", former, strict)

    def changed(self, name: str, former: int, value: int) -> None:
        if former != value:  # FRM-E11
            self.asked = False

    def checked(self, name: str, value: int, highest: int) -> int:
        if not isinstance(value, int):
            raise TypeError(f"{name} is not an integer")
        if not 0 <= value <= highest:
            raise ValueError(f"{name} is out of range")
        return value

    # How much to read (4.8)

    def bytes_wanted(self) -> int:
        if self.fault is not None:
            return 1  # FRM-E10
        if not self.held:
            return HEADER_SIZE
        if not self.asked:
            return 1  # FRM-E10
        if len(self.held) < PREFIX_AND_SIZE:
            return HEADER_SIZE - len(self.held)  # FRM-E8
        return PREFIX_AND_SIZE + self.size() - len(self.held)  # FRM-E9
