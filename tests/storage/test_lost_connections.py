"""A connection that is lost within an atomic block: whoever catches the error, the end of the block raises."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import IO, cast

import pytest
from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile
from django.db import Error, connections, transaction
from django.db.transaction import TransactionManagementError

from pg_lo_storage.drivers import get_driver
from pg_lo_storage.storage import DbFile, db_file_storage
from tests.fixtures.losing import Lose
from tests.invoices.models import Invoice, Note
from tests.io.files import in_a_thread
from tests.storage.support import LARGE, content, stored

pytestmark = pytest.mark.django_db(transaction=True)

DATA = content(LARGE)


@pytest.fixture
def row() -> Invoice:
    return Invoice.objects.create(data=ContentFile(DATA, name="a.txt"))


def save_with_another_file(row: Invoice) -> None:
    row.data = ContentFile(b"x", name="b.txt")
    row.save()


def in_turn(*calls: Callable[[], object]) -> Callable[[], None]:
    def call_all() -> None:
        for call in calls:
            call()

    return call_all


# What may be done when the connection is gone: with a file that is open, and with none.
OPENED: dict[str, Callable[[DbFile], object]] = {
    "read": lambda file: file.read(),
    "readline": lambda file: file.readline(),
    "chunks": lambda file: list(file.chunks()),
    "iterate": list,
    "size": lambda file: file.size,
    "end": lambda file: file.seek(0, 2),
    "write": lambda file: file.write(b"x"),
    "truncate": lambda file: file.truncate(0),
    "close": lambda file: file.close(),
    "read in a thread": lambda file: raised_in_a_thread(file.read),
    "write in a thread": lambda file: raised_in_a_thread(lambda: file.write(b"x")),
}
ROW: dict[str, Callable[[Invoice], object]] = {
    "open": lambda row: db_file_storage.open(row.data.name or ""),
    "open to write": lambda row: db_file_storage.open(row.data.name or "", "rb+"),
    "size": lambda row: db_file_storage.size(row.data.name or ""),
    "exists": lambda row: db_file_storage.exists(row.data.name or ""),
    "delete": lambda row: db_file_storage.delete(row.data.name or ""),
    "save": lambda _row: db_file_storage.save("b.txt", ContentFile(b"x")),
    "save a large file": lambda _row: db_file_storage.save("b.txt", ContentFile(DATA)),
    "asave": lambda _row: async_to_sync(db_file_storage.asave)("b.txt", ContentFile(b"x")),
    "aopen": lambda row: async_to_sync(db_file_storage.aopen)(row.data.name or ""),
    "adelete": lambda row: async_to_sync(db_file_storage.adelete)(row.data.name or ""),
    "read the field": lambda row: row.data.read(),
    "save the field": lambda row: row.data.save("b.txt", ContentFile(b"x")),
    "delete the field": lambda row: row.data.delete(),
    "delete the row": lambda row: row.delete(),
    "save the row": save_with_another_file,
}


def raised_in_a_thread(call: Callable[[], object]) -> None:
    result = in_a_thread(call)
    if isinstance(result, Exception):
        raise result


@contextmanager
def caught() -> Generator[None]:
    with pytest.raises(Error):
        yield


def at_once(use: Callable[[], object]) -> None:
    with caught():
        use()


def around_a_savepoint(use: Callable[[], object]) -> None:
    with caught(), transaction.atomic():
        use()


def in_a_savepoint(use: Callable[[], object]) -> None:
    with transaction.atomic(), caught():
        use()


def around_a_block_without_a_savepoint(use: Callable[[], object]) -> None:
    with caught(), transaction.atomic(savepoint=False):
        use()


def in_a_block_without_a_savepoint(use: Callable[[], object]) -> None:
    with transaction.atomic(savepoint=False), caught():
        use()


def before_queries_that_fail_as_well(use: Callable[[], object]) -> None:
    with caught():
        use()
    for _ in range(2):
        with caught():
            Note.objects.create(text="lost, too")


CAUGHT = [
    at_once,
    around_a_savepoint,
    in_a_savepoint,
    around_a_block_without_a_savepoint,
    in_a_block_without_a_savepoint,
    before_queries_that_fail_as_well,
]


@pytest.mark.parametrize("catch", CAUGHT)
@pytest.mark.parametrize("use", ["read", "write", "save a large file"])
@pytest.mark.parametrize("durable", [False, True])
def test_the_end_of_the_block_raises_wherever_the_error_was_caught(
    durable: bool, use: str, catch: Callable[[Callable[[], object]], None], row: Invoice, lose: Lose
) -> None:
    with caught(), transaction.atomic(durable=durable):
        Note.objects.create(text="lost")
        with db_file_storage.open(row.data.name or "", "rb+") as file:
            catch(in_turn(lose, lambda: OPENED[use](file) if use in OPENED else ROW[use](row)))
    still_usable(row)


@pytest.mark.parametrize("use", OPENED)
def test_whatever_was_done_with_the_open_file(use: str, row: Invoice, lose: Lose) -> None:
    with caught(), transaction.atomic():
        Note.objects.create(text="lost")
        with db_file_storage.open(row.data.name or "", "rb+") as file:
            lose()
            with caught():
                OPENED[use](file)
    still_usable(row)


@pytest.mark.parametrize("use", ROW)
def test_whatever_was_done_with_the_storage_or_the_row(use: str, row: Invoice, lose: Lose) -> None:
    with caught(), transaction.atomic():
        Note.objects.create(text="lost")
        lose()
        with caught():
            ROW[use](row)
    still_usable(Invoice.objects.get())


def test_a_connection_lost_in_the_middle_of_a_save(row: Invoice, lose: Lose) -> None:
    class Losing:
        def chunks(self) -> Iterator[bytes]:
            yield DATA
            lose()
            yield DATA

    with caught(), transaction.atomic():
        Note.objects.create(text="lost")
        with caught():
            db_file_storage.save("b.txt", cast("IO[bytes]", Losing()))
    still_usable(row)


@pytest.mark.parametrize("nested", [False, True])
def test_the_error_that_leaves_the_block_is_not_masked(nested: bool, row: Invoice, lose: Lose) -> None:
    def fail() -> None:
        (around_a_savepoint if nested else at_once)(in_turn(lose, lambda: ROW["size"](row)))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        fail()
    still_usable(row)


def test_an_error_that_is_handled_around_the_block_makes_no_difference(row: Invoice, lose: Lose) -> None:
    with caught():
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            with transaction.atomic():
                lose()
                at_once(lambda: ROW["size"](row))
    still_usable(row)


def test_a_test_case_ends_its_own_block_in_peace(row: Invoice, lose: Lose) -> None:
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # as TestCase does
    with block:
        around_a_savepoint(in_turn(lose, lambda: ROW["size"](row)))
        transaction.set_rollback(rollback=True)
    still_usable(row)


def test_in_autocommit_the_next_call_has_a_new_connection_once_the_old_one_is_closed(row: Invoice, lose: Lose) -> None:
    lose()
    at_once(lambda: ROW["size"](row))
    connections["default"].close()
    still_usable(row)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, TimeoutError])
def test_what_interrupts_a_query_marks_the_block_that_it_aborted(
    interruption: type[BaseException], row: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of Ctrl-C, or a task's time limit, in the middle: the query is cancelled, and another error raised."""

    def execute(*_arguments: object, **_options: object) -> None:
        with connections["default"].create_cursor() as cursor, suppress(Exception):
            cursor.execute("select 1 / 0")
        raise interruption

    with transaction.atomic():
        Note.objects.create(text="lost")
        with monkeypatch.context() as patched:
            patched.setattr(type(get_driver(connections["default"].connection)), "execute", execute)
            with pytest.raises(interruption):
                db_file_storage.size(row.data.name or "")
        with pytest.raises(TransactionManagementError):
            Note.objects.count()
    still_usable(row)


def still_usable(row: Invoice) -> None:
    """All was rolled back, and the connection serves the next block."""
    assert not Note.objects.exists()
    with transaction.atomic():
        assert stored(row.data.name or "") == DATA


def test_closed_by_hand_it_is_closed_without_an_error(row: Invoice, lose: Lose) -> None:
    name = row.data.name or ""
    with transaction.atomic():
        lose()
        with suppress(Error):
            stored(name)
        connections["default"].close()
    assert stored(name) == DATA
