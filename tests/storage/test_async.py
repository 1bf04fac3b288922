"""The storage in asynchronous code, in the request's own thread and transaction."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.db import transaction

from pg_lo_storage.storage import db_file_storage
from tests.storage.support import LARGE, content, stored


@pytest.mark.django_db(transaction=True)
def test_a_file_is_saved_found_read_and_deleted() -> None:
    async def live() -> None:
        name = await db_file_storage.asave("letter.txt", ContentFile(b"Dear\nSir"))
        assert await db_file_storage.aexists(name)
        assert await db_file_storage.asize(name) == 8
        async with await db_file_storage.aopen(name) as file:
            assert file.name == name
            assert name == f"{file.loid}.txt"
            assert [line async for line in file] == [b"Dear\n", b"Sir"]
            assert await file.seek(2) == 2
            assert await file.read() == b"ar\nSir"
            assert (await file.tell(), await file.size()) == (8, 8)
        await db_file_storage.adelete(name)
        assert not await db_file_storage.aexists(name)
        with pytest.raises(FileNotFoundError):
            await db_file_storage.aopen(name)

    asyncio.run(live())


@pytest.mark.django_db(transaction=True)
def test_a_large_file_comes_in_blocks() -> None:
    async def live() -> list[bytes]:
        name = await db_file_storage.asave("a.bin", ContentFile(content(LARGE)))
        async with await db_file_storage.aopen(name) as file:
            return [block async for block in file.aiter_chunks(100_000)]

    blocks = asyncio.run(live())
    assert b"".join(blocks) == content(LARGE)
    assert {len(block) for block in blocks[:-1]} == {100_000}


@pytest.mark.django_db(transaction=True)
def test_writing_needs_a_transaction_of_the_same_thread() -> None:
    async def live() -> str:
        name = await db_file_storage.asave("a.txt", ContentFile(b"before"))
        block = transaction.atomic()
        await sync_to_async(block.__enter__)()
        async with await db_file_storage.aopen(name, "rb+") as file:
            assert await file.write(b"BE") == 2
            assert await file.truncate() == 2
        await sync_to_async(block.__exit__)(None, None, None)
        return name

    assert stored(asyncio.run(live())) == b"BE"
