"""Several databases: which one is asked, and that the same oid in two of them is never mixed up."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.db import ProgrammingError, connections, transaction
from django.test import Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext

from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.columns import FileColumn
from pg_lo_storage.databases.identity import is_same_database
from pg_lo_storage.databases.locking import see_what_is_committed
from pg_lo_storage.databases.search import Searched, named_elsewhere
from pg_lo_storage.drivers import AccessMode, LargeObjectDriver, get_driver
from pg_lo_storage.exceptions import DriverNotFound, StaleLargeObject
from pg_lo_storage.maintenance.sources import find_sources
from pg_lo_storage.operations import operations
from pg_lo_storage.storage import DbFile, DbFileIO, DbFileStorage, db_file_storage, db_for_read, db_for_write
from pg_lo_storage.testing import InMemoryDriver
from pg_lo_storage.views import db_serve
from tests.storage.support import body, loid_of, make_by_hand, stored

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other", "replica"])

OTHER = DbFileStorage("/others/", alias="other")
READ_OTHER = override_settings(PG_LO_STORAGE_DB_FOR_READ="other")
BOTH_OTHER = override_settings(PG_LO_STORAGE_DB_FOR_READ="other", PG_LO_STORAGE_DB_FOR_WRITE="other")


@pytest.fixture
def name() -> str:
    """The name of one file in ``default``, and of another of the same oid in ``other``."""
    name = db_file_storage.save("a.txt", ContentFile(b"default"))
    make_by_hand(name, b"other", using="other")
    return name


@pytest.fixture
def only_in_default() -> str:
    return db_file_storage.save("a.txt", ContentFile(b"default"))


def test_an_alias_is_what_was_asked_for_else_the_setting_else_the_default() -> None:
    assert (db_for_read(), db_for_write()) == ("default", "default")
    assert (db_for_read("other"), db_for_write("other")) == ("other", "other")
    with override_settings(PG_LO_STORAGE_DB_FOR_READ="replica", PG_LO_STORAGE_DB_FOR_WRITE="other"):
        assert (db_for_read(), db_for_write()) == ("replica", "other")
        assert (db_for_read("default"), db_for_write("default")) == ("default", "default")


def test_a_storage_of_an_alias_stays_there(name: str) -> None:
    assert stored(name, OTHER) == b"other"
    assert OTHER.size(name) == 5
    OTHER.delete(name)
    assert not OTHER.exists(name)
    assert stored(name) == b"default"
    saved = OTHER.save("b.txt", ContentFile(b"saved"))
    assert stored(saved, OTHER) == b"saved"
    assert OTHER.exists(saved)


class Elsewhere(DbFileStorage):
    """Says itself where it writes, and nothing of where it reads."""

    @property
    def write_alias(self) -> str:
        return "other"


def test_what_a_storage_writes_it_finds() -> None:
    storage = Elsewhere()
    saved = storage.save("b.txt", ContentFile(b"saved"))
    assert storage.exists(saved)
    assert storage.size(saved) == 5
    assert stored(saved, OTHER) == b"saved"


def test_a_missing_file_of_an_alias_is_looked_for_nowhere_else(only_in_default: str) -> None:
    assert not OTHER.exists(only_in_default)
    for call in (OTHER.open, OTHER.size):
        with pytest.raises(FileNotFoundError):
            call(only_in_default)


def test_a_file_opened_again_stays_on_its_alias(name: str) -> None:
    with OTHER.open(name) as file:
        assert file.read() == b"other"
        assert file.open().read() == b"other"
        file.close()
        assert file.open("rb").read() == b"other"
        with transaction.atomic(using="other"):
            file.open("rb+").write(b"OT")
            file.open("ab").write(b"!")
            file.close()
        assert file.open("rb").read() == b"OTher!"
    assert stored(name) == b"default"


def test_db_file_io_takes_an_alias(name: str) -> None:
    loid = loid_of(name)
    with DbFileIO(loid, alias="other") as file:
        assert file.alias == "other"
        assert file.read() == b"other"
    with transaction.atomic(using="other"), DbFileIO(loid, "wb", alias="other") as file:
        file.write(b"OT")
    with DbFileIO(loid) as file:
        assert file.alias == "default"
        assert file.read() == b"default"
    assert stored(name, OTHER) == b"OTher"


def test_db_file_io_makes_objects_on_its_alias(name: str) -> None:
    with transaction.atomic(using="other"), DbFileIO(0, "wb", alias="other", name="a.txt") as file:
        file.write(b"made")
    assert stored(file.name, OTHER) == b"made"
    assert stored(name) == b"default"


def test_the_settings_choose_for_a_storage_without_alias(name: str) -> None:
    with BOTH_OTHER:
        assert stored(name) == b"other"
        saved = db_file_storage.save("b.txt", ContentFile(b"saved"))
        db_file_storage.delete(name)
        assert not db_file_storage.exists(name)
    assert stored(name) == b"default"
    assert stored(saved, OTHER) == b"saved"


@READ_OTHER
def test_reading_uses_the_read_alias_and_writing_the_write_alias(name: str) -> None:
    assert stored(name) == b"other"
    assert db_file_storage.size(name) == 5
    with db_file_storage.open(name) as file:
        assert file.read() == b"other"
        with transaction.atomic():
            assert file.open("rb+").read() == b"default"
            file.seek(0)
            file.write(b"D")
    with transaction.atomic(), db_file_storage.open(name, "ab") as file:
        file.write(b"!")
    assert stored(name) == b"other"
    with override_settings(PG_LO_STORAGE_DB_FOR_READ="default"):
        assert stored(name) == b"Default!"
    db_file_storage.delete(name)
    assert stored(name) == b"other"
    assert not DbFileStorage(alias="default").exists(name)


@READ_OTHER
def test_a_file_found_on_the_write_alias_stays_there(only_in_default: str) -> None:
    with db_file_storage.open(only_in_default) as file:
        make_by_hand(only_in_default, b"other", using="other")
        assert file.open().read() == b"default"
    assert stored(only_in_default) == b"other"


@READ_OTHER
def test_a_file_missing_on_the_read_alias_is_looked_for_on_the_write_alias(only_in_default: str) -> None:
    assert db_file_storage.exists(only_in_default)
    assert db_file_storage.size(only_in_default) == 7
    with db_file_storage.open(only_in_default) as file:
        assert file.read() == b"default"
        assert file.open().read() == b"default"
    with DbFileIO(loid_of(only_in_default)) as file:
        assert file.alias == "default"
        assert file.read() == b"default"
    for request in (RequestFactory().get("/"), RequestFactory().get("/", headers={"range": "bytes=0-"})):
        response = db_serve(request, only_in_default)
        assert body(response) == b"default"
    db_file_storage.delete(only_in_default)
    assert not db_file_storage.exists(only_in_default)


@override_settings(PG_LO_STORAGE_DB_FOR_READ="replica")
def test_what_a_transaction_has_not_committed_is_read_where_it_was_written() -> None:
    with transaction.atomic():
        name = db_file_storage.save("a.txt", ContentFile(b"data"))
        assert db_file_storage.exists(name)
        assert stored(name) == b"data"
    assert stored(name) == b"data"


def test_a_view_serves_from_its_storage(name: str) -> None:
    assert Client().get(f"/files/{name}").content == b"default"
    assert Client().get(f"/others/{name}").content == b"other"
    response = Client().get(f"/others/{name}", headers={"range": "bytes=1-2"})
    assert body(response) == b"th"
    assert Client().head(f"/others/{name}").headers["Content-Length"] == "5"
    OTHER.delete(name)
    assert Client().get(f"/others/{name}").status_code == 404
    assert Client().get(f"/files/{name}").status_code == 200


used: list[object] = []


def recording_driver(raw: object) -> LargeObjectDriver:
    used.append(raw)
    return get_driver(raw)


@pytest.fixture
def recorded() -> Iterator[list[object]]:
    """What connections were asked of ``recording_driver``: each once, and so new ones."""
    connections.close_all()
    used.clear()
    yield used
    used.clear()


@override_settings(PG_LO_STORAGE_DRIVER=f"{__name__}.recording_driver")
def test_a_setting_names_the_driver(name: str, recorded: list[object]) -> None:
    assert stored(name) == b"default"
    assert stored(name, OTHER) == b"other"
    assert {id(raw) for raw in recorded} == {id(connections[a].connection) for a in ("default", "other")}


@override_settings(PG_LO_STORAGE_DRIVER={"other": f"{__name__}.recording_driver"})
def test_a_setting_names_the_driver_of_an_alias(name: str, recorded: list[object]) -> None:
    assert stored(name) == b"default"
    assert not recorded
    assert stored(name, OTHER) == b"other"
    assert {id(raw) for raw in recorded} == {id(connections["other"].connection)}


@override_settings(PG_LO_STORAGE_DRIVER="no_such_module.Driver")
def test_a_driver_that_cannot_be_imported_is_named() -> None:
    with pytest.raises((DriverNotFound, ImproperlyConfigured, ImportError), match="no_such_module"):
        db_file_storage.exists("12.txt")


@pytest.fixture
def sqlite(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An alias of a database that is not PostgreSQL."""
    databases = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    monkeypatch.setitem(connections.settings, "sqlite", connections.configure_settings(databases)["default"])
    yield "sqlite"
    if (opened := connections["sqlite"].connection) is not None:
        opened.close()  # Django leaves one in memory open
    del connections["sqlite"]


def test_a_database_that_is_not_postgresql_is_refused_with_the_fix(sqlite: str) -> None:
    storage = DbFileStorage(alias=sqlite)
    for call in (storage.exists, storage.open, storage.size, storage.delete):
        with pytest.raises(ImproperlyConfigured, match="'sqlite' is SQLite") as caught:
            call("12.txt")
        assert "PG_LO_STORAGE_DB_FOR_" in str(caught.value)
        assert "alias" in str(caught.value)
        assert "PostgreSQL" in str(caught.value)
    with pytest.raises(ImproperlyConfigured), transaction.atomic():
        DbFileIO(12, "wb", alias=sqlite)
    with pytest.raises(ImproperlyConfigured):
        storage.save("a.txt", ContentFile(b""))


def test_the_raw_transaction_state_is_the_aliass() -> None:
    assert not DatabaseDriver("other").in_transaction
    with transaction.atomic(using="other"):
        DatabaseDriver("other").exists(12)
        assert DatabaseDriver("other").in_transaction
        assert not DatabaseDriver("default").in_transaction


def test_rows_on_a_database_of_another_kind_may_name_any_file(sqlite: str, caplog: pytest.LogCaptureFixture) -> None:
    assert is_same_database("default", sqlite) is False
    connections[sqlite].connect()  # Django's test case lets no alias connect that it was not told of
    column = FileColumn("paper", "data")
    assert named_elsewhere(sqlite, [column], {12}, Searched("default")) == set()  # there is no such table
    with connections[sqlite].cursor() as cursor:
        cursor.execute("create table paper (data text)")
    assert named_elsewhere(sqlite, [column], {12}, Searched("default")) == {12}
    assert "kept large objects [12]: sqlite is not PostgreSQL" in caplog.text


def test_of_a_missing_table_that_is_not_ours_the_server_s_error_is_raised() -> None:
    with pytest.raises(ProgrammingError, match=r'^relation "nowhere" does not exist'):
        DatabaseDriver("default").run("select 1 from nowhere", [])


def test_a_transaction_of_a_database_of_another_kind_is_as_it_is(sqlite: str) -> None:
    connections[sqlite].connect()
    with CaptureQueriesContext(connections[sqlite]) as queries:
        see_what_is_committed(sqlite, 1)
    assert not queries.captured_queries


def test_triggers_of_a_database_of_another_kind_are_told_nothing(sqlite: str) -> None:
    connections[sqlite].connect()
    first = next(app for app in apps.get_app_configs() if app.models_module is not None)
    with CaptureQueriesContext(connections[sqlite]) as queries:
        operations._after_migrate(first, using=sqlite)  # pyright: ignore[reportPrivateUsage]  # migrate makes tables first
    assert not queries.captured_queries


@override_settings(PG_LO_STORAGE_DB_FOR_WRITE="default")
def test_a_check_cannot_read_rows_on_a_database_of_another_kind(sqlite: str) -> None:
    assert find_sources("default").unread == []  # the test case forbids to ask it
    connections[sqlite].connect()
    assert find_sources("default").unread == []  # it has no such table
    with connections[sqlite].cursor() as cursor:
        cursor.execute("create table invoices_invoice (data text)")
    assert find_sources("default").unread == ["the database 'sqlite' is not PostgreSQL"]


def test_a_descriptor_of_a_closed_connection_is_stale() -> None:
    database = DatabaseDriver("default")
    with transaction.atomic():
        oid = database.create()
        database.put(oid, 2, b"content")
        assert database.get(oid, 0, 20) == b"\0\0content"
        descriptor = database.open(oid, AccessMode.READ)
        assert (descriptor.oid, descriptor.read(3)) == (oid, b"\0\0c")
    connections["default"].close()
    with pytest.raises(StaleLargeObject, match=f"large object {oid} was opened on was closed"):
        descriptor.read(1)
    descriptor.close()


def test_a_file_that_its_own_driver_opened_is_opened_again_by_it() -> None:
    driver = InMemoryDriver()
    file = DbFile(DbFileIO(driver.from_bytes(b"content"), name="a.txt", driver=driver))
    assert file.read() == b"content"
    assert file.open().read() == b"content"
    assert (str(file.stored), file.stored.alias) == ("a.txt", None)
    file.close()


def test_a_file_that_cannot_be_emptied_is_closed_and_has_its_content(name: str) -> None:
    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if "truncate" in sql:
            raise LookupError
        return execute(sql, *rest)

    with transaction.atomic():
        with connections["default"].execute_wrapper(refuse), pytest.raises(LookupError):
            db_file_storage.open(name, "wb")
        gc.collect()  # of a file that was left open it would warn
        assert stored(name) == b"default"
