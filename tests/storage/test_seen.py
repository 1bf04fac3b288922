"""What is sent on a Django connection is seen by all that looks at Django's statements; the bytes of files are not."""

import base64
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any, cast

import pytest
from django.core.files.base import ContentFile
from django.db import (
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    transaction,
)
from django.db.backends.utils import CursorWrapper
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from pg_lo_storage.databases import DatabaseDriver, watching
from pg_lo_storage.drivers import AccessMode, get_driver
from pg_lo_storage.exceptions import LargeObjectError, LargeObjectReadOnly
from pg_lo_storage.fields import prefetch_stored_files
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.lifecycle.statements import before_next_statement
from pg_lo_storage.storage import DbFileIO, DbFileStorage, db_file_storage
from pg_lo_storage.views import db_serve
from tests.fixtures.connections import Connect, run
from tests.fixtures.losing import Lose
from tests.fixtures.proxy import Wire
from tests.invoices.models import Invoice
from tests.storage.support import loid_of, stored

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "wired"])

WIRED = DbFileStorage(alias="wired")
MARK = "never to be seen: "
MUCH = 700_000
Around = Callable[[], AbstractContextManager[object]]


def marked(size: int) -> bytes:
    return (MARK.encode() * (size // len(MARK) + 1))[:size]


def save(size: int) -> str:
    return WIRED.save("a.pdf", ContentFile(marked(size)))


def written_in_place(name: str) -> None:
    with transaction.atomic(using="wired"), WIRED.open(name, "r+b") as file:
        file.seek(10)
        file.write(marked(20_000))
        file.truncate(100)
        file.seek(0)
        file.read()


def read_in_pieces(name: str) -> None:
    with transaction.atomic(using="wired"), DbFileIO(loid_of(name), alias="wired") as file:
        file.read(10)
        file.seek(-10, 2)
        file.readline()


def appended(name: str) -> None:
    with transaction.atomic(using="wired"), WIRED.open(name, "ab") as file:
        file.writelines([marked(300_000)] * 4)


def made() -> None:
    with transaction.atomic(using="wired"), DbFileIO(0, "wb", alias="wired") as file:
        file.write(marked(30_000))


def downloaded(name: str) -> None:
    b"".join(cast("Iterator[bytes]", db_serve(RequestFactory().get("/"), name, storage=WIRED)))


USES: dict[str, Callable[[str, str], object]] = {
    "save": lambda _small, _large: save(1024),
    "save much": lambda _small, _large: save(MUCH),
    "exists": lambda small, _large: WIRED.exists(small),
    "size": lambda small, _large: WIRED.size(small),
    "open": lambda small, _large: stored(small, WIRED),
    "open much": lambda _small, large: stored(large, WIRED),
    "in pieces": lambda _small, large: read_in_pieces(large),
    "in place": lambda _small, large: written_in_place(large),
    "append": lambda small, _large: appended(small),
    "make": lambda _small, _large: made(),
    "download": lambda small, _large: downloaded(small),
    "download much": lambda _small, large: downloaded(large),
    "delete": lambda small, _large: WIRED.delete(small),
}


@pytest.fixture
def names() -> tuple[str, str]:
    return save(1024), save(MUCH)


@contextmanager
def begun() -> Generator[None]:
    """A transaction whose beginning is not counted."""
    with transaction.atomic(using="wired"):
        WIRED.exists("12")
        yield


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("around", [nullcontext, begun])
def test_what_reaches_the_server_was_seen(around: Around, use: str, names: tuple[str, str], wire: Wire) -> None:
    seen: list[str] = []

    def look(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        assert (context["connection"], many) == (connections["wired"], False)
        assert isinstance(context["cursor"], CursorWrapper)
        seen.append(sql)
        return execute(sql, params, many, context)

    with (
        around(),
        CaptureQueriesContext(connections["wired"]) as captured,
        wire.counting() as trips,
        connections["wired"].execute_wrapper(look),
    ):
        USES[use](*names)
    # The ends of a transaction Django shows to its log alone.
    logged = [query["sql"].lower() for query in captured]
    ours = [sql for sql in logged if sql.partition(" ")[0] not in {"begin", "commit"}]
    assert len(ours) == len(seen)
    assert trips.count == len(logged)


@pytest.mark.parametrize("use", ["open", "download"])
def test_a_small_file_is_seen_to_be_selected(use: str, names: tuple[str, str]) -> None:
    with CaptureQueriesContext(connections["wired"]) as captured:
        USES[use](*names)
    assert [query["sql"].split()[0] for query in captured] == ["select"]


@pytest.mark.parametrize("use", USES)
def test_bytes_are_not_seen(use: str, names: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
    seen: list[object] = []

    def look(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        seen.extend([sql, repr(params)])
        assert not [value for value in params if isinstance(value, bytes | bytearray | memoryview)]
        result = execute(sql, params, many, context)
        seen.append(repr(result))
        return result

    caplog.set_level(logging.DEBUG, "django.db.backends")
    with CaptureQueriesContext(connections["wired"]) as captured, connections["wired"].execute_wrapper(look):
        USES[use](*names)
    for text in (str(seen), str(captured.captured_queries), caplog.text):
        assert text
        assert MARK not in text
        assert MARK.encode().hex() not in text
        assert base64.b64encode(MARK.encode()).decode() not in text
        if use in {"save", "save much"}:
            assert ("<1,024 bytes>" if use == "save" else " bytes>") in text


class Refused(Exception):
    pass


@pytest.mark.parametrize("error", [Refused("no"), OperationalError("no"), LargeObjectError("no")], ids=repr)
@pytest.mark.parametrize("use", USES)
def test_who_refuses_stops_it_before_it_is_sent(use: str, error: Exception, names: tuple[str, str], wire: Wire) -> None:
    def refuse(*_: object) -> None:
        raise error

    with begun(), wire.counting() as trips:
        with pytest.raises(type(error)) as raised, connections["wired"].execute_wrapper(refuse):
            USES[use](*names)
        assert raised.value is error
        # Only the end of a savepoint, which Django shows to nobody, reached the server.
        assert trips.count == 0
        assert not connections["wired"].needs_rollback
        assert stored(names[0], WIRED) == marked(1024)


@pytest.mark.parametrize("size", [1024, MUCH])
def test_a_write_alone_can_be_refused(size: int, names: tuple[str, str]) -> None:
    def read_only(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if "lowrite" in sql or "lo_from_bytea" in sql:
            raise Refused(sql)
        return execute(sql, *rest)

    with transaction.atomic(using="wired"):
        with connections["wired"].execute_wrapper(read_only), pytest.raises(Refused):
            save(size)
        assert stored(names[1], WIRED) == marked(MUCH)
    with connections["wired"].execute_wrapper(read_only), pytest.raises(Refused):
        save(size)
    assert stored(names[0], WIRED) == marked(1024)


def test_an_error_of_the_servers_means_what_it_means_unseen(names: tuple[str, str]) -> None:
    seen: list[BaseException] = []

    def fail(execute: Callable[..., Any], _sql: str, _params: object, *rest: Any) -> Any:
        try:
            return execute("do $$ begin raise sqlstate '25006'; end $$", (), *rest)
        except Exception as error:
            seen.append(error)
            raise

    with transaction.atomic(using="wired"):
        with connections["wired"].execute_wrapper(fail), pytest.raises(LargeObjectReadOnly) as raised:
            save(1024)
        assert connections["wired"].needs_rollback
        connections["wired"].set_rollback(True)
    assert type(seen[0]) is InternalError
    assert raised.value.__cause__ is seen[0].__cause__
    assert stored(names[0], WIRED) == marked(1024)


def test_what_a_wrapper_makes_of_a_statement_is_sent(connect: Connect) -> None:
    def tag(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        return execute(f"/* tagged */ {sql}", *rest)

    name = db_file_storage.save("a.txt", ContentFile(b"data"))
    with connection.execute_wrapper(tag):
        assert stored(name) == b"data"
        with connection.cursor() as cursor:
            cursor.execute("select pg_backend_pid()")
            [(pid,)] = cursor.fetchall()
        db_file_storage.size(name)
        [(query,)] = run(connect(), "select query from pg_stat_activity where pid = %s", (pid,))
        assert query.startswith("/* tagged */")


def test_one_that_runs_nothing_is_told_so() -> None:
    def run_nothing(*_: object) -> None:
        pass

    with connection.execute_wrapper(run_nothing), pytest.raises(ProgrammingError, match="did not run"):
        db_file_storage.size("12")


def test_one_that_tries_again_has_the_second_result() -> None:
    def twice(execute: Callable[..., Any], *statement: Any) -> Any:
        execute(*statement)
        return execute(*statement)

    with connection.execute_wrapper(twice):
        name = db_file_storage.save("a.txt", ContentFile(b"data"))
        assert stored(name) == b"data"


def test_instrumentation_of_the_class_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    original = CursorWrapper.execute

    def execute(cursor: CursorWrapper, sql: str, params: Any = None) -> Any:
        seen.append(sql)
        return original(cursor, sql, params)

    name = db_file_storage.save("a.txt", ContentFile(b"data"))
    monkeypatch.setattr(CursorWrapper, "execute", execute)
    assert stored(name) == b"data"
    assert len(seen) == 1


def test_another_connection_is_not_shown(connect: Connect) -> None:
    raw = connect()
    other = LargeObjectIO(get_driver(raw), 0, "xb+")
    seen: list[str] = []

    def look(execute: Callable[..., Any], sql: str, params: Sequence[object], *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, params, *rest)

    def blocks() -> Iterator[bytes]:
        other.write(b"x")
        yield b"y"

    with transaction.atomic(), DbFileIO(0, "wb") as file, connection.execute_wrapper(look):
        file.writelines(blocks())
        assert sum("lowrite" in sql for sql in seen) == 1
        seen.clear()
        with closing(DatabaseDriver("default").open(file.oid, AccessMode.WRITE)) as descriptor:
            descriptor.write_all(blocks())
    assert sum("lowrite" in sql for sql in seen) <= 1  # what is small goes with the native call of psycopg2
    assert not any(str(other.oid) in sql for sql in seen)
    other.close()
    raw.rollback()


def test_a_cursor_of_a_backends_own_kind_is_shown_nothing_and_the_statement_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look(execute: Callable[..., Any], *statement: Any) -> Any:
        return execute(*statement)

    name = db_file_storage.save("a.txt", ContentFile(b"data"))
    monkeypatch.setattr(connection, "cursor", connection.connection.cursor)
    with connection.execute_wrapper(look):
        assert stored(name) == b"data"


def test_the_log_has_the_statement_in_which_the_connection_was_lost(lose: Lose) -> None:
    name = db_file_storage.save("a.txt", ContentFile(b"data"))
    with CaptureQueriesContext(connection) as log:
        lose()
        with pytest.raises((OperationalError, InterfaceError)):
            stored(name)
    assert "pg_largeobject" in log[-1]["sql"]


def test_where_its_values_cannot_be_shown_the_log_has_the_statement_without() -> None:
    class Cursor:
        def mogrify(self, query: str, params: Sequence[str]) -> bytes:
            return (query % params).encode()

    made = watching._Statement  # pyright: ignore[reportPrivateUsage]  # psycopg 3 refuses such text before
    statement = made(("\ud800",), lambda _query, _params: [])
    statement.cursor = Cursor()
    statement.execute("select %s", ("\ud800",))
    assert statement.query == b"select %s"


def test_a_wrapper_may_ask_the_cursor_as_after_any_statement() -> None:
    rows: list[int] = []

    def look(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        rows.append(context["cursor"].cursor.arraysize)
        return result

    name = db_file_storage.save("a.txt", ContentFile(b"data"))
    with connection.execute_wrapper(look):
        assert stored(name) == b"data"
    assert rows
    assert set(rows) <= {1, 100}  # what psycopg2 and psycopg have


@pytest.mark.parametrize("ask", ["size", "original_name"])
def test_rows_that_ask_one_by_one_are_found(ask: str, catalogue: bool) -> None:
    for n in range(3):
        Invoice.objects.create(data=ContentFile(b"data", name=f"{n}.txt"))
    if ask == "original_name" and not catalogue:
        return
    with CaptureQueriesContext(connection) as one_by_one:
        for row in Invoice.objects.all():
            getattr(row.data, ask)
    assert len(one_by_one) == 1 + 3
    if catalogue:
        with CaptureQueriesContext(connection) as together:
            rows = list(Invoice.objects.all())
            prefetch_stored_files(rows, "data")
            for row in rows:
                getattr(row.data, ask)
        assert len(together) == 1 + 1


def test_nobody_is_asked_where_nobody_looks(monkeypatch: pytest.MonkeyPatch, names: tuple[str, str]) -> None:
    monkeypatch.setattr(watching.DjangoWatcher, "show", None)
    for use in USES.values():
        use(*names)


def test_what_waits_for_djangos_next_statement_is_not_shown_ours() -> None:
    name = db_file_storage.save("a.txt", ContentFile(b"data"))
    seen: list[str] = []

    def act(sql: str, _params: object) -> AbstractContextManager[None]:
        seen.append(sql)
        return nullcontext()

    for around in (nullcontext(), CaptureQueriesContext(connection)):
        before_next_statement(connection, act)
        with around:
            assert stored(name) == b"data"
            assert not seen
            Invoice.objects.count()
        assert [sql.split()[0] for sql in seen] == ["SELECT"]
        seen.clear()
