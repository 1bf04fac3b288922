"""The storage's asynchronous calls where they are cancelled: their threads go on, and what they made is undone."""

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from django.core.files.base import ContentFile

from pg_lo_storage.storage import DbFileStorage, db_file_storage
from tests.storage.support import LARGE, content


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("times", [1, 3])
def test_a_save_that_is_cancelled_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, large_objects: Callable[[], set[int]], size: int, times: int
) -> None:
    save, go_on = DbFileStorage.save, threading.Event()
    loop: asyncio.AbstractEventLoop
    saving: asyncio.Event

    def held_up(self: DbFileStorage, name: str, file: object, max_length: int | None = None) -> str:
        loop.call_soon_threadsafe(saving.set)
        assert go_on.wait(60)
        return save(self, name, cast("Any", file), max_length)

    async def live() -> None:
        nonlocal loop, saving
        loop, saving = asyncio.get_running_loop(), asyncio.Event()
        task = asyncio.create_task(db_file_storage.asave("a.txt", ContentFile(content(size))))
        await saving.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert large_objects() == set()

    monkeypatch.setattr(DbFileStorage, "save", held_up)
    asyncio.run(live())


@pytest.mark.django_db(transaction=True)
def test_a_file_whose_opening_is_cancelled_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    open_file, go_on = DbFileStorage.open, threading.Event()
    loop: asyncio.AbstractEventLoop
    opening: asyncio.Event

    def held_up(self: DbFileStorage, name: str, mode: str = "rb") -> object:
        loop.call_soon_threadsafe(opening.set)
        assert go_on.wait(60)
        return open_file(self, name, mode)

    async def live() -> None:
        nonlocal loop, opening
        loop, opening = asyncio.get_running_loop(), asyncio.Event()
        name = await db_file_storage.asave("a.txt", ContentFile(b"content"))
        task = asyncio.create_task(db_file_storage.aopen(name))
        await opening.wait()
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setattr(DbFileStorage, "open", held_up)
    asyncio.run(live())
    gc.collect()  # a file that was not closed is warned of here
