"""How a blocking object is made of an asynchronous one: a loop in a thread of its own, and methods that wait for it."""

import asyncio
import functools
import inspect
import io
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from types import GenericAlias
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, get_args, get_type_hints

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")


class LoopThread:
    """An event loop that runs in a thread until it is stopped."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mdm client", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return not self._loop.is_closed()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """What comes of it. Whoever is interrupted while waiting (Ctrl-C) has it cancelled and cleaned up first."""
        if not self.is_running:
            work.close()
            raise RuntimeError("the client is closed")
        if threading.current_thread() is self._thread:  # It would wait for itself.
            work.close()
            raise RuntimeError("the client is asked from within one of its own calls")
        ended = threading.Event()
        task: asyncio.Task[R] | None = None

        def begin() -> None:
            nonlocal task
            task = self._loop.create_task(work)
            task.add_done_callback(lambda _: ended.set())

        self._loop.call_soon_threadsafe(begin)
        try:
            ended.wait()
        except BaseException:
            self._loop.call_soon_threadsafe(lambda: task and task.cancel())
            ended.wait()
            raise
        assert task is not None
        return task.result()

    def stop(self) -> None:
        """End it. May be repeated."""
        if self.is_running:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


class Blocking(Generic[A]):
    """The blocking twin of `twin`, whose coroutines run in `loop`."""

    def __init__(self, twin: A, loop: LoopThread) -> None:
        self._twin, self._loop = twin, loop

    def __repr__(self) -> str:
        return f"<blocking {self._twin!r}>"


def waits(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Blocking[A], P], R]:
    """The method of the twin, waited for."""

    @functools.wraps(method)
    def waiting(self: Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> R:
        given: Any = [_at_hand(one) for one in args]
        named: Any = {name: _at_hand(one) for name, one in kwargs.items()}
        return self._loop.run(method(self._twin, *given, **named))

    return _described(waiting, method)


def _at_hand(given: Any) -> Any:
    """What makes its items one by one, as a list: it may ask the client for them, which the loop itself cannot do."""
    return list(given) if isinstance(given, Iterator) and not isinstance(given, io.IOBase) else given


def iterates(
    method: Callable[Concatenate[A, P], AsyncGenerator[R, None]],
) -> Callable[Concatenate[Blocking[A], P], Iterator[R]]:
    """The generator of the twin, each of whose items is waited for."""

    @functools.wraps(method)
    def iterating(self: Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        items = method(self._twin, *args, **kwargs)
        try:
            while (item := self._loop.run(_next(items))) is not None:
                yield item[0]
        finally:
            self._loop.run(items.aclose())

    (item, *_) = get_args(get_type_hints(method)["return"])
    return _described(iterating, method, GenericAlias(Iterator, (item,)))


async def _next(items: AsyncGenerator[R, None]) -> tuple[R] | None:
    try:
        return (await anext(items),)
    except StopAsyncIteration:
        return None


def _described(made: Callable[P, R], method: Callable[..., Any], returns: Any = None) -> Callable[P, R]:
    """With the method's signature for help(), which tells of no coroutine."""
    signature = inspect.signature(method)
    if returns is not None:
        signature = signature.replace(return_annotation=returns)
    made.__signature__ = signature  # type: ignore[attr-defined]
    del made.__wrapped__  # type: ignore[attr-defined]
    return made
