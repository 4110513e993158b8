"""What a notification server does, in the fewest words: lists, and a search through all of them."""

from __future__ import annotations

from typing import NamedTuple


class Wish(NamedTuple):
    client: int
    local: bool
    receiver: str
    notification: str
    priority: int


class Model:
    """Wishes in order of age; ``tried`` are the clients that have had each unicast."""

    def __init__(self, most_remote: int, refused: set[str]) -> None:
        self.wishes: list[Wish] = []
        self.most_remote = most_remote
        self.refused = refused  # notification IDs that may not leave

    def register(self, wish: Wish) -> None:
        self.unregister(wish)
        if wish.local or sum(not each.local for each in self.wishes) < self.most_remote:
            self.wishes.append(wish)

    def unregister(self, wish: Wish) -> None:
        self.wishes = [each for each in self.wishes if each[:4] != wish[:4]]

    def gone(self, client: int) -> None:
        self.wishes = [each for each in self.wishes if each.client != client]

    def matching(self, to: str, notification: str) -> list[Wish]:
        return [
            each
            for each in self.wishes
            if each.notification == notification
            and to in ("1", "*", each.receiver)
            and (each.local or notification not in self.refused)
        ]

    def best(self, to: str, notification: str, tried: set[int]) -> Wish | None:
        left = [each for each in self.matching(to, notification) if each.client not in tried]
        return max(left, key=lambda each: each.priority, default=None)
