"""The handlers of a client: selects them for a notification, and tracks their running calls."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from functools import partial
from inspect import isawaitable
from typing import Any, TypeAlias, TypeVar

from ..transport.logs import shown
from .loggers import client_logger
from .messages import ALL, Notify, Register
from .notification import Notification
from .registrations import Registration, Topic

__all__ = ["Handled", "Handler", "Handlers", "check_handler"]

#: Called with each notification; what it returns is awaited, if it can be.
Handler: TypeAlias = Callable[[Notification], object]

T = TypeVar("T")

#: The calls of handlers that the current context is inside of.
_inside: ContextVar[tuple[Call, ...]] = ContextVar("vfiipc_notify_inside", default=())


class Handled(Registration):
    """A registration with its handler; None for one that only an ``ask`` needs."""

    __slots__ = ("handler", "notification", "priority", "tasks")

    def __init__(self, wish: Register, age: int, handler: Handler | None) -> None:
        super().__init__(0, True, wish.to, wish.priority, age)
        self.notification = wish.notification
        self.priority = wish.priority
        self.handler = handler
        self.tasks: set[asyncio.Future[Any]] = set()

    @property
    def wish(self) -> Register:
        """The message that registers it."""
        return Register(self.receiver, self.notification, self.priority)


def check_handler(handler: object) -> None:
    """Checks a handler that a user passes.

    Raises:
        TypeError: it is neither callable nor None.
    """
    if handler is not None and not callable(handler):
        raise TypeError(f"handler must be callable or None, not {type(handler).__name__}")


class Call:
    """A call of a handler, until it has ended."""

    __slots__ = ("ended", "handled")

    def __init__(self, handled: Handled | None) -> None:
        self.handled = handled
        self.ended = False


class Handlers:
    """Belongs to one loop.

    Args:
        most: how many may run at once before ``room`` waits.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._topics: dict[str, Topic[Handled]] = {}
        self._ages = itertools.count()
        self._running: set[asyncio.Future[Any]] = set()
        self._ended = asyncio.Event()

    # --- registrations

    def __iter__(self) -> Iterator[Handled]:
        return iter([handled for topic in self._topics.values() for handled in topic.all])

    def of(self, notification: str) -> list[Handled]:
        """All registrations for a notification ID."""
        topic = self._topics.get(notification)
        return list(topic.all) if topic is not None else []

    def find(self, notification: str, receiver: str) -> Handled | None:
        """The registration of a receiver for a notification ID."""
        topic = self._topics.get(notification)
        found = topic.by_receiver.get(receiver) if topic is not None else None
        return found[0] if found else None

    def add(self, wish: Register, handler: Handler | None) -> Handled:
        """Registers a handler, in place of the one that this receiver had."""
        former = self.find(wish.notification, wish.to)
        if former is not None:
            self.remove(former)
        handled = Handled(wish, next(self._ages), handler)
        self._topics.setdefault(wish.notification, Topic()).add(handled)
        return handled

    def remove(self, handled: Handled) -> None:
        """Removes a registration; its handler is not called any more."""
        topic = self._topics[handled.notification]
        topic.remove(handled)
        if not topic.all:
            del self._topics[handled.notification]

    def matching(self, notify: Notify) -> list[Handled]:
        """The registrations that a notification is for: all, the first, or none (NFY-C4)."""
        topic = self._topics.get(notify.notification)
        candidates = topic.candidates(notify.to) if topic is not None else []
        found = [handled for handled in candidates if handled.handler is not None]
        return found if notify.to == ALL else found[:1]

    # --- calls

    async def room(self) -> None:
        """Returns when a further handler may run (NFY-C2)."""
        while len(self._running) >= self._most:
            self._ended.clear()
            await self._ended.wait()

    def call(
        self, handler: Callable[[T], object], given: T, name: str, handled: Handled | None = None
    ) -> None:
        """Calls a handler. If it returns an awaitable, that becomes a task.

        Args:
            handler: what is called.
            given: what it gets.
            name: its name in logs.
            handled: the registration that it belongs to.
        """
        call = Call(handled)
        token = _inside.set((*_inside.get(), call))
        try:
            result = handler(given)
            if not isawaitable(result):
                call.ended = True
                return
            task = asyncio.ensure_future(_awaited(result))
        except (KeyboardInterrupt, SystemExit):
            raise  # end the loop, as if raised by any other callback
        except BaseException as error:  # noqa: BLE001 - a fault of the handler (NFY-C2)
            call.ended = True
            _log_failure(name, error)
            return
        finally:
            _inside.reset(token)
        self._running.add(task)
        if handled is not None:
            handled.tasks.add(task)
        task.add_done_callback(partial(self._done, call, name))

    def _done(self, call: Call, name: str, task: asyncio.Future[Any]) -> None:
        call.ended = True
        self._running.discard(task)
        if call.handled is not None:
            call.handled.tasks.discard(task)
        self._ended.set()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log_failure(name, error)

    def refuse_inside(self, handled: Handled) -> None:
        """Raises if this runs inside a handler of the registration (NFY-C3).

        Raises:
            RuntimeError: it does; a handler that waits for its own end would wait forever.
        """
        if any(call.handled is handled and not call.ended for call in _inside.get()):
            raise RuntimeError(
                f"the handler of {handled.notification!r} cannot unregister itself, because that"
                " waits until it has ended; unregister from outside"
            )

    async def ended(self, handled: Handled) -> None:
        """Returns when no handler of the registration is running."""
        while handled.tasks:
            await asyncio.wait(list(handled.tasks))

    async def cancel(self) -> None:
        """Cancels the running handlers, except the one that calls this."""
        current = {call for call in _inside.get() if not call.ended}
        tasks = [task for task in self._running if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks and not current:
            await asyncio.wait(tasks)


async def _awaited(result: Awaitable[Any]) -> None:
    await result


def _log_failure(name: str, error: BaseException) -> None:
    client_logger.error("the handler of %s failed", shown(name), exc_info=error)
