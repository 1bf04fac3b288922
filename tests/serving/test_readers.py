"""The threads that read blocks: few, shared, and gone when nobody needs them."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future

import pytest
from django.core.files.base import ContentFile
from django.db import connection, connections
from django.test import override_settings

from pg_lo_storage.serving import readers as readers_module
from pg_lo_storage.serving.readers import DEFAULT_THREADS, THREAD_NAME, BlockReaders, release_connections
from pg_lo_storage.storage import db_file_storage
from tests.serving.asgi import wait_for_readers


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


@pytest.fixture
def readers() -> BlockReaders:
    wait_for_readers()  # those of tests before
    return BlockReaders()


def read_ident() -> bytes:
    return str(threading.get_ident()).encode()


@pytest.mark.parametrize("limit", [None, 1, 2])
def test_no_more_threads_are_started_than_are_set(readers: BlockReaders, limit: int | None) -> None:
    go = threading.Event()

    def wait() -> bytes:
        go.wait()
        return read_ident()

    with override_settings(**({} if limit is None else {"PG_LO_STORAGE_READ_THREADS": limit})), readers.download():
        futures = [readers.submit(wait) for _ in range(20)]
        go.set()
        used = {future.result(10) for future in futures}
    assert len(used) <= (limit or DEFAULT_THREADS)
    wait_for_readers()


@pytest.mark.parametrize("limit", [0, -1])
def test_there_is_one_thread_at_least(readers: BlockReaders, limit: int) -> None:
    with override_settings(PG_LO_STORAGE_READ_THREADS=limit), readers.download():
        assert readers.submit(read_ident).result(10)
    wait_for_readers()


def test_one_download_needs_one_thread(readers: BlockReaders) -> None:
    with readers.download():
        assert len({readers.submit(read_ident).result(10) for _ in range(20)}) <= 2
    wait_for_readers()


def test_the_threads_end_with_the_last_download(readers: BlockReaders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers_module, "_LINGER", 600)
    # One, though it may still be at the end of one block when it is to read the next.
    with override_settings(PG_LO_STORAGE_READ_THREADS=1), readers.download():
        with readers.download():
            readers.submit(read_ident).result(10)
        [thread] = threads()
        assert readers.submit(read_ident).result(10) == str(thread.ident).encode()
    thread.join(10)
    assert not threads()
    # And are started again, even where no download is said to be.
    assert readers.submit(read_ident).result(10)
    wait_for_readers()


def test_what_is_not_awaited_any_more_is_not_read(readers: BlockReaders) -> None:
    go, read = threading.Event(), threading.Event()

    def block() -> bytes:
        go.wait()
        return b""

    def never() -> bytes:
        read.set()
        return b""

    with override_settings(PG_LO_STORAGE_READ_THREADS=1), readers.download():
        first, second = readers.submit(block), readers.submit(never)
        assert second.cancel()
        go.set()
        first.result(10)
        readers.submit(read_ident).result(10)
    assert not read.is_set()
    wait_for_readers()


def test_an_error_is_raised_where_the_block_is_awaited_and_the_next_is_read(readers: BlockReaders) -> None:
    def fail() -> bytes:
        raise OSError("lost")

    with readers.download():
        with pytest.raises(OSError, match="lost"):
            readers.submit(fail).result(10)
        assert readers.submit(read_ident).result(10)
    wait_for_readers()


@pytest.mark.django_db(transaction=True)
def test_after_an_error_the_connection_is_another_one(readers: BlockReaders) -> None:
    name = db_file_storage.save("a.txt", ContentFile(b"data"))
    raw: list[object] = []

    def read() -> bytes:
        with db_file_storage.open(name) as file:
            data: bytes = file.read()
        raw.append(connections["default"].connection)
        return data

    def lose() -> bytes:
        connections["default"].connection.close()
        return read()

    with override_settings(PG_LO_STORAGE_READ_THREADS=1), readers.download():
        assert readers.submit(read).result(10) == readers.submit(read).result(10) == b"data"
        assert raw[0] is raw[1]
        with pytest.raises(Exception, match="closed"):
            readers.submit(lose).result(10)
        assert readers.submit(read).result(10) == b"data"
        assert raw[2] is not raw[1]
    wait_for_readers()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process cannot fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own() -> None:
    from pg_lo_storage.serving.readers import READERS

    def answer(future: "Future[bytes]", exit_: Callable[[int], None]) -> None:
        exit_(0 if future.result(10) else 1)

    with READERS.download():
        READERS.submit(read_ident).result(10)
        if not (child := os.fork()):
            answer(READERS.submit(read_ident), os._exit)
        assert os.waitpid(child, 0)[1] == 0
    wait_for_readers()


@pytest.mark.django_db(transaction=True)
def test_a_connection_is_released_unless_a_transaction_is_open_on_it() -> None:
    connection.set_autocommit(False)
    release_connections()
    assert connection.connection is not None
    connection.set_autocommit(True)
    connection.close_at = 0  # its time is over
    release_connections()
    assert connection.connection is None
