"""Where the database has the catalogue's table: its names and times, and that what it says stays true."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.base import ContentFile
from django.db import connections

from example.cluster import Server
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.exceptions import LargeObjectPermissionDenied
from pg_lo_storage.models import StoredFile
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import DbFileStorage
from tests.drivers.support import driver_error, execute
from tests.fixtures.connections import Connect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.parametrize("catalogue", [True], indirect=True)]


@pytest.fixture
def stored(catalogue: bool) -> str:
    """The name of a file that Django's storage has saved."""
    assert catalogue
    return DbFileStorage().save("report.csv", ContentFile(b"a,b\n1,2\n"))


def test_names_have_their_extensions(fs: PgLoFileSystem, stored: str) -> None:
    other = fs.pipe_file("new.txt", b"not catalogued")
    assert set(fs.ls("", detail=False)) == {stored, other.removesuffix(".txt")}
    assert fs.glob("pglo://*.csv") == [stored]
    assert fs.ls("")[0] == fs.info(stored)


def test_times_are_the_catalogue_s(fs: PgLoFileSystem, stored: str) -> None:
    entry = StoredFile.objects.get()
    assert fs.created(stored) == entry.created_at
    assert fs.modified(stored) == entry.modified_at
    assert abs(fs.created(stored) - datetime.now(UTC)) < timedelta(minutes=5)


@pytest.mark.parametrize("how", ["write", "append", "copy"])
def test_a_write_makes_size_and_digest_unknown(own_fs: PgLoFileSystem, stored: str, how: str) -> None:
    before = StoredFile.objects.get()
    assert before.sha256 == hashlib.sha256(b"a,b\n1,2\n").hexdigest()
    if how == "write":
        own_fs.pipe_file(stored, b"changed")
    elif how == "append":
        with own_fs.open(stored, "ab") as file:
            file.write(b"3,4\n")
    else:
        own_fs.cp_file(own_fs.pipe_file("new", b"changed"), stored)
    after = StoredFile.objects.get()
    assert (after.size, after.sha256) == (None, None)
    assert after.modified_at > before.modified_at
    assert own_fs.modified(stored) == after.modified_at


def test_a_removed_file_is_no_longer_catalogued(own_fs: PgLoFileSystem, stored: str) -> None:
    own_fs.rm(stored)
    assert not StoredFile.objects.exists()
    assert not DbFileStorage().exists(stored)


def test_a_file_that_another_path_finds_is_read_whatever_its_extension(own_fs: PgLoFileSystem, stored: str) -> None:
    assert own_fs.cat_file(f"{parse_name(stored)}.parquet") == b"a,b\n1,2\n"


def test_without_rights_on_the_table_names_have_no_extensions(connect: Connect, stored: str) -> None:
    fs = PgLoFileSystem(connection=connect(user="stranger"))
    assert fs.ls("", detail=False) == [str(parse_name(stored))]


def test_where_there_is_no_table(server: Server, stored: str) -> None:
    fs = PgLoFileSystem(server.dsn(), options="-c search_path=pg_catalog", skip_instance_cache=True)
    assert fs.ls("", detail=False) == [str(parse_name(stored))]
    fs.pipe_file(stored, b"changed")
    with pytest.raises(OSError, match="no catalogue of this database knows"):
        fs.modified(stored)
    fs.rm(stored)
    assert fs.ls("") == []
    fs.close()


def test_what_may_not_be_entered_is_not_done(own_fs: PgLoFileSystem, stored: str) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("revoke update, delete on pg_lo_storage_file from current_user")
        try:
            for change in (lambda: own_fs.rm(stored), lambda: own_fs.pipe_file(stored, b"changed")):
                with pytest.raises(LargeObjectPermissionDenied, match="pg_lo_storage_file"):
                    change()
        finally:
            cursor.execute("grant update, delete on pg_lo_storage_file to current_user")
    assert own_fs.cat_file(stored) == b"a,b\n1,2\n"


def test_what_else_the_server_refuses_there_is_the_drivers_own_error(connect: Connect, stored: str) -> None:
    connection = connect()
    execute(connection, "alter table pg_lo_storage_file rename column loid to other")
    fs = PgLoFileSystem(connection=connection)
    with pytest.raises(driver_error(connection), match="loid"):
        fs.rm(stored)
    connection.rollback()
    assert fs.cat_file(stored) == b"a,b\n1,2\n"
