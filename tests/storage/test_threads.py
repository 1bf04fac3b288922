"""A file of a transaction, in other threads: it works there, over the connection that it was opened on."""

import gc
import importlib
import io
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.files.base import ContentFile
from django.db import connections, transaction
from django.db.transaction import TransactionManagementError

from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.exceptions import StaleLargeObject
from pg_lo_storage.storage import DbFile, DbFileIO, db_file_storage
from tests.invoices.models import Invoice, Note
from tests.io.files import in_a_thread, numbered_lines
from tests.storage.support import LARGE, content, stored

# pyarrow has no types.
csv: Any = importlib.import_module("pyarrow.csv")

pytestmark = pytest.mark.django_db(transaction=True)

DATA = content(LARGE)


def save(data: bytes = DATA) -> str:
    """Save a file in the transaction that is open: no other connection sees it."""
    return db_file_storage.save("a.txt", ContentFile(data))


def only_over_ours(call: Callable[[], object]) -> object:
    """Call it in a thread of its own, where no connection is to be opened."""

    def checked() -> object:
        try:
            return call()
        finally:
            assert connections["default"].connection is None

    result = in_a_thread(checked)
    if isinstance(result, Exception):
        raise result
    return result


USES: dict[str, Callable[[DbFile], object]] = {
    "read": lambda file: file.read(),
    "readline": lambda file: file.readline(),
    "readinto": lambda file: file.stored.readinto(bytearray(10)),
    "chunks": lambda file: list(file.chunks()),
    "iterate": list,
    "size": lambda file: file.size,
    "tell": lambda file: file.tell(),
    "seek": lambda file: file.seek(-5, 2),
    "write": lambda file: file.write(b"x"),
    "truncate": lambda file: file.truncate(1),
    "open again": lambda file: file.open("rb").read(),
    "close": lambda file: file.close(),
}


@pytest.mark.parametrize("mode", ["rb", "rb+"])
@pytest.mark.parametrize("size", [1000, LARGE])
@pytest.mark.parametrize("use", USES)
def test_a_thread_has_what_its_opener_would_have(use: str, size: int, mode: str) -> None:
    """As boto3's ``upload_fileobj`` does, which reads in a thread while the caller waits."""
    if mode == "rb" and use in {"write", "truncate"}:
        return
    with transaction.atomic():
        name = save(DATA[:size])
        with db_file_storage.open(name, mode) as file:
            expected = USES[use](file)
        with db_file_storage.open(name, mode) as file:
            assert only_over_ours(lambda: USES[use](file)) == expected
        Note.objects.create(text="the transaction is usable")
    assert Note.objects.count() == 1


def test_what_a_thread_writes_is_of_the_transaction() -> None:
    name = db_file_storage.save("a.txt", ContentFile(DATA))
    with transaction.atomic(), db_file_storage.open(name, "rb+") as file:
        only_over_ours(lambda: file.write(b"changed"))
        assert file.tell() == 7
        only_over_ours(file.close)
        transaction.set_rollback(rollback=True)
    assert stored(name) == DATA
    with transaction.atomic(), DbFileIO(0, "wb") as new:
        only_over_ours(lambda: new.write(DATA))
    assert stored(str(new.loid)) == DATA


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_pyarrow_reads_a_table(size: int) -> None:
    with transaction.atomic():
        rows = numbered_lines(size, 9)
        with db_file_storage.open(save(b"number\n" + rows)) as file:
            assert csv.read_csv(file).num_rows == rows.count(b"\n")


def test_pyarrow_writes_a_table() -> None:
    with transaction.atomic(), DbFileIO(0, "wb+", name="a.csv") as file:
        csv.write_csv(csv.read_csv(io.BytesIO(b"a,b\n1,2\n")), file)
        file.seek(0)
        assert file.read() == b'"a","b"\n1,2\n'


def test_the_file_of_a_row() -> None:
    with transaction.atomic():
        row = Invoice.objects.create(data=ContentFile(DATA, name="a.txt"))
        with Invoice.objects.get(pk=row.pk).data as file:
            assert file.read(3) == DATA[:3]
            assert only_over_ours(file.read) == DATA[3:]


def test_many_threads_share_a_file_and_a_connection() -> None:
    names: list[str] = []
    with transaction.atomic():
        names += [save(DATA[:200_000]), save()]
        with ThreadPoolExecutor(4) as pool, db_file_storage.open(names[1]) as shared:
            parts = [pool.submit(shared.read, 10_000) for _ in range(LARGE // 10_000 + 1)]
            for name in names:
                with db_file_storage.open(name) as own:
                    assert own.read() == DATA[: own.size]
            assert sorted(part.result() for part in parts) == sorted(
                DATA[start : start + 10_000] for start in range(0, LARGE, 10_000)
            )


@pytest.mark.parametrize("thread_sensitive", [True, False])
def test_the_threads_of_asgiref(thread_sensitive: bool) -> None:
    async def read(file: DbFile) -> object:
        return await sync_to_async(file.read, thread_sensitive=thread_sensitive)()

    with transaction.atomic(), db_file_storage.open(save()) as file:
        assert async_to_sync(read)(file) == DATA


@pytest.mark.parametrize("use", sorted({*USES} - {"open again", "close"}))
def test_once_the_transaction_is_over_so_is_the_file_in_every_thread(use: str) -> None:
    name = db_file_storage.save("a.txt", ContentFile(DATA))
    with transaction.atomic():
        file = db_file_storage.open(name, "rb+")
    for _ in range(2):
        with pytest.raises(StaleLargeObject, match="is over"):
            only_over_ours(lambda: USES[use](file))
    with transaction.atomic():
        Note.objects.create(text="another")
        with pytest.raises(StaleLargeObject, match="is over"):
            only_over_ours(lambda: USES[use](file))
    connections["default"].close()
    with pytest.raises(StaleLargeObject):
        only_over_ours(lambda: USES[use](file))
    only_over_ours(file.close)


def test_a_savepoint_that_is_rolled_back_ends_it_in_every_thread() -> None:
    with transaction.atomic():
        name = save()
        with transaction.atomic():
            file = db_file_storage.open(name, "rb+")
            transaction.set_rollback(rollback=True)
        with pytest.raises(StaleLargeObject):
            only_over_ours(file.read)
        file.close()
        assert stored(name) == DATA


def test_a_transaction_that_is_broken_is_so_in_every_thread() -> None:
    with transaction.atomic():
        file = db_file_storage.open(save(), "rb+")
        transaction.set_rollback(rollback=True)
        with pytest.raises(TransactionManagementError):
            only_over_ours(file.read)
        only_over_ours(file.close)


def test_a_file_of_no_transaction_is_read_over_each_threads_own_connection() -> None:
    with db_file_storage.open(db_file_storage.save("a.txt", ContentFile(DATA))) as file:
        read: list[object] = []

        def in_two() -> object:
            with transaction.atomic():
                read.append(file.read(5))
            return file.read()

        assert in_a_thread(in_two) == DATA[5:]
        assert read == [DATA[:5]]


def test_a_threads_own_transaction_is_not_touched() -> None:
    ready, done = threading.Event(), threading.Event()

    def other() -> None:
        with transaction.atomic():
            Note.objects.create(text="theirs")
            ready.set()
            done.wait(60)
            assert file.read() == DATA
            transaction.set_rollback(rollback=True)

    with transaction.atomic(), db_file_storage.open(save()) as file:
        thread = ThreadPoolExecutor(1)
        result = thread.submit(lambda: in_a_thread(other))
        assert ready.wait(60)
        Note.objects.create(text="ours")
        done.set()
        assert result.result() is None
        thread.shutdown()
    assert [note.text for note in Note.objects.all()] == ["ours"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_closed_file_keeps_no_connection_of_the_thread_that_read_it() -> None:
    name = save()
    closed: list[DbFile] = []
    raw: list[weakref.ref[object]] = []

    def read() -> None:
        with db_file_storage.open(name) as file:
            file.read()
        closed.append(file)
        raw.append(weakref.ref(connections["default"].connection))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    gc.collect()
    assert closed[0].closed
    assert raw[0]() is None


def test_a_file_whose_connection_is_closed_is_over_in_every_thread() -> None:
    with transaction.atomic():
        file = db_file_storage.open(save(), "rb+")
    bound = DatabaseDriver("default", connections["default"])
    connections["default"].close()
    with pytest.raises(StaleLargeObject):
        only_over_ours(file.read)
    with pytest.raises(StaleLargeObject, match="closed, by the thread whose it is"):
        only_over_ours(lambda: bound.exists(1))
    file.close()
