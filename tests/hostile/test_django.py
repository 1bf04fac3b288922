"""With Django, too, the package calls nothing that somebody else made in a schema of the search path."""

import io
from collections.abc import Iterator
from contextlib import closing

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client, RequestFactory

from example.cluster import Server
from pg_lo_storage.__main__ import SERVER, plain_database
from pg_lo_storage.checks import check_databases
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.fields import prefetch_stored_files
from pg_lo_storage.operations import GuardFromVacuum, ManageLargeObjects
from pg_lo_storage.storage import db_file_storage
from pg_lo_storage.testing.leftovers import Leftovers
from pg_lo_storage.views import db_serve
from tests.catalogue.support import numbers, uncatalogued
from tests.drivers.support import execute
from tests.fixtures.connections import INSTALLED, RawConnection, open_connection
from tests.hostile.ours import Ours, ours
from tests.hostile.overloads import SCHEMA, create_overloads, functions_in, operators_in
from tests.hostile.registrations import register
from tests.hostile.uses import use_fsspec
from tests.invoices.models import Invoice
from tests.operations.support import Project, make_file, names, run
from tests.storage.support import body

pytestmark = pytest.mark.django_db(transaction=True)

SMALL, LARGE = b"small", bytes(range(256)) * 4_000
PATHS = {"beside": f", {SCHEMA}", "before pg_catalog": f", {SCHEMA}, pg_catalog"}


@pytest.fixture(params=[False, True], ids=["bare", "catalogue"])
def has_catalogue(request: pytest.FixtureRequest) -> bool:
    """Whether the project and its database have the catalogue."""
    return bool(request.param)


@pytest.fixture(autouse=True)
def _database(has_catalogue: bool, request: pytest.FixtureRequest) -> Iterator[None]:
    if has_catalogue:
        yield
        return
    request.getfixturevalue("catalogue")
    run("alter table pg_lo_storage_file rename to pg_lo_storage_file_away")
    yield
    run("alter table pg_lo_storage_file_away rename to pg_lo_storage_file")


@pytest.fixture
def superuser(server: Server) -> Iterator[RawConnection]:
    """Whom the overloads are made as."""
    if not {"postgres", "stranger"} <= set(server.roles):
        pytest.skip("PG_LO_TEST_DSN gives no superuser to make the overloads as")
    with closing(open_connection(INSTALLED[0], server.dsn(user="postgres"), autocommit=True)) as session:
        yield session
        execute(session, f"drop schema if exists {SCHEMA} cascade")


def use_storage() -> None:
    for data in (SMALL, LARGE):
        name = db_file_storage.save("a.txt", ContentFile(data))
        assert db_file_storage.exists(name)
        assert db_file_storage.size(name) == len(data)
        with db_file_storage.open(name) as file:
            assert file.readline() + file.read() == data
            file.seek(2)
            assert file.read(2) == data[2:4]
        with transaction.atomic(), db_file_storage.open(name, "rb+") as file:
            file.write(b"in place")
            file.truncate(4)
        assert db_file_storage.size(name) == 4
        with transaction.atomic(), db_file_storage.open(name, "wb") as file:
            file.write(data)
        request = RequestFactory().get("/", headers={"Range": "bytes=1-2,4-"})
        assert data[4:] in body(db_serve(request, name))
        assert body(db_serve(RequestFactory().get("/"), name)) == data
        db_file_storage.delete(name)
        assert not db_file_storage.exists(name)


def use_rows(has_catalogue: bool) -> None:
    row = Invoice(plain="")
    for data in (SMALL, LARGE):
        row.data.save("a.txt", ContentFile(data))
    second = Invoice.objects.create(data=row.data.name, elsewhere=row.data.name)
    row.data.save("b.txt", ContentFile(SMALL), save=False)
    row.save()
    if has_catalogue:
        prefetch_stored_files([row, second], "data")
        assert row.data.original_name == "b.txt"
    row.data.delete(save=False)
    row.save()
    row.data = ContentFile(SMALL, "c.txt")
    row.save()
    row.data = ""
    row.save()
    second.delete()
    many = [Invoice.objects.create(data=ContentFile(SMALL, "d.txt")) for _ in range(25)]
    Invoice.objects.filter(pk__in=[each.pk for each in many[:3]]).delete()
    Invoice.objects.all().delete()
    assert not run("select oid::text from pg_largeobject_metadata")


def use_commands(found: Ours, has_catalogue: bool) -> None:
    leftovers = Leftovers()
    left = uncatalogued()
    run("insert into invoices_invoice (data, plain) values (%s, 'no file')", [f"{left}.txt"])
    warned = {"W014", "W017"} if found.after else {"W017"}
    assert set(numbers(check_databases(databases=["default"]))) == warned | (set() if has_catalogue else {"W007"})
    if has_catalogue:
        call_command("largeobjects", "adopt", database="default", verbosity=0)
        assert db_file_storage.size(f"{left}.txt") == 7
        client = Client()
        user = User.objects.create_superuser("root")
        client.force_login(user)
        page = client.get(f"/admin/pg_lo_storage/storedfile/{left}/change/")
        assert b"invoice" in page.content
        user.delete()
    uncatalogued()
    assert len(leftovers.orphaned()["default"]) == 1
    leftovers.unlink()
    assert not run("select oid::text from pg_largeobject_metadata")
    run("delete from invoices_invoice")


def use_migrate(found: Ours) -> None:
    run("create schema fresh")
    home = found.home
    found.stay("fresh")
    call_command("migrate", verbosity=0)
    call_command("migrate", run_syncdb=True, verbosity=0)
    assert run("select to_regclass('fresh.invoices_invoice') is not null") == [(True,)]
    found.stay(home)
    run("set client_min_messages = warning")
    run("drop schema fresh cascade")


def use_triggers(found: Ours, has_catalogue: bool) -> None:
    project = Project()
    project.table("Paper", {"data": names(), "other": names()})
    same = ("other",) if has_catalogue else None  # which needs it
    manage, guard = ManageLargeObjects("paper", "data", same=same), GuardFromVacuum("paper", "other")
    project.apply(manage, guard)
    # As any program would fire them: what the statements call themselves is not ours.
    first, second, third = make_file(), make_file(), make_file()
    for statement in (
        f"insert into paper (data) values ('{first}'), ('{second}')",
        f"update paper set data = '{third}'",
        "update paper set data = null",
        f"insert into paper (data) values ('{make_file()}')",
        "delete from paper",
        f"insert into paper (data) values ('{make_file()}')",
        "truncate paper",
    ):
        with found.sending(statement):
            run(statement)
    assert not run("select oid::text from pg_largeobject_metadata")
    project.apply(manage)
    project.reverse(manage)
    project.reverse(guard)
    run("drop table paper")


def use_fsspec_of_alias(has_catalogue: bool) -> None:
    fs = PgLoFileSystem(alias="default", skip_instance_cache=True)
    use_fsspec(fs)
    name = db_file_storage.save("a.txt", ContentFile(SMALL))
    if has_catalogue:
        assert fs.created(name) == fs.modified(name)
    else:
        with pytest.raises(io.UnsupportedOperation):
            fs.created(name)
    with fs.open(name, "wb") as file:
        file.write(LARGE)
    fs.rm_file(name)


def use_all(found: Ours, has_catalogue: bool) -> None:
    use_storage()
    use_fsspec_of_alias(has_catalogue)
    use_rows(has_catalogue)
    use_commands(found, has_catalogue)
    use_migrate(found)
    use_triggers(found, has_catalogue)


def test_no_overload_is_called(has_catalogue: bool, superuser: RawConnection, server: Server) -> None:
    with ours() as found:
        use_all(found, has_catalogue)
    statements = [*found.statements, SERVER]
    functions, operators = functions_in(statements), operators_in(statements)
    assert {"lo_create", "lo_unlink", "to_regclass", "format", "starts_with", "array_agg"} <= functions
    assert create_overloads(superuser, functions, operators) > 1_000
    for after in PATHS.values():
        with ours() as found:
            found.after = after
            use_all(found, has_catalogue)
        report = dict(plain_database(f"{server.dsn()} options='-c search_path=public{after.replace(' ', '')}'"))
        assert report["role is superuser"] == "no"


def test_adapters_that_are_registered_do_not_matter(has_catalogue: bool) -> None:
    with ours() as found:
        # What Django itself can do with.
        register(connection.connection, ["bytea", "int8", "oid"], [bytes, bytearray, memoryview])
        use_storage()
        use_rows(has_catalogue)
        use_commands(found, has_catalogue)
