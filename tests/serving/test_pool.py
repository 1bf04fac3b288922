"""Django's connection pool: a download takes a connection for a block, not for as long as the client reads."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

import pytest
from django.core.files.base import ContentFile
from django.db import connections, transaction
from django.http import HttpResponseBase
from django.test import RequestFactory

from pg_lo_storage.serving.responses import DbFileResponse
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from pg_lo_storage.views import adb_serve, db_serve
from tests.serving.asgi import wait_for_readers
from tests.storage.support import LARGE, content

if TYPE_CHECKING:
    from django.db.backends.postgresql.base import DatabaseWrapper

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "replica"]),
    pytest.mark.skipif(not (find_spec("psycopg") and find_spec("psycopg_pool")), reason="the pool is psycopg 3's"),
]

POOLED = DbFileStorage(alias="replica")
DATA = content(LARGE)


@pytest.fixture(autouse=True)
def _pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the alias ``replica`` take its connections from a pool of one."""
    wrapper = connections["replica"]
    wrapper.close()
    options = wrapper.settings_dict["OPTIONS"] | {"pool": {"min_size": 1, "max_size": 1, "timeout": 5}}
    monkeypatch.setitem(wrapper.settings_dict, "OPTIONS", options)
    yield
    wrapper.close()
    cast("DatabaseWrapper", wrapper).close_pool()


@pytest.fixture
def name() -> str:
    return db_file_storage.save("a.pdf", ContentFile(DATA))


def serve(name: str) -> DbFileResponse:
    response = db_serve(RequestFactory().get("/"), name, storage=POOLED)
    assert isinstance(response, DbFileResponse)
    return response


def read(name: str) -> bytes:
    received = b"".join(serve(name))
    connections["replica"].close()
    return received


def test_between_blocks_another_thread_has_the_connection(name: str) -> None:
    received = b""
    with ThreadPoolExecutor(1) as others:
        for block in serve(name):
            received += block
            assert others.submit(read, name).result() == DATA
    assert received == DATA


def test_many_asynchronous_downloads_share_it(name: str) -> None:
    async def download() -> bytes:
        response: HttpResponseBase = await adb_serve(RequestFactory().get("/"), name, storage=POOLED)
        assert isinstance(response, DbFileResponse)
        return b"".join([block async for block in response])

    async def live() -> list[bytes]:
        return await asyncio.gather(*(download() for _ in range(10)))

    assert asyncio.run(live()) == [DATA] * 10
    wait_for_readers()


def test_in_a_transaction_it_is_kept() -> None:
    with transaction.atomic(using="replica"):
        name = POOLED.save("a.pdf", ContentFile(DATA))
        raw = connections["replica"].connection
        assert b"".join(serve(name)) == DATA
        assert connections["replica"].connection is raw
