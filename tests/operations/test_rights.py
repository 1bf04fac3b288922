"""What a role may not do is an error that says so; nothing is lost by it."""

from collections.abc import Iterator

import pytest

from pg_lo_storage.operations import ManageLargeObjects
from tests.fixtures.connections import Connect, RawConnection
from tests.operations.support import Project, files, loids, make_file, names, run, value

pytestmark = pytest.mark.django_db(transaction=True)

STATEMENTS = ["delete from invoice", "update invoice set data = ''", "truncate invoice"]


@pytest.fixture
def stranger(committed: Project, connect: Connect) -> Iterator[RawConnection]:
    """Another role that may do anything with the rows, and nothing with the files."""
    connection = connect(user="stranger", autocommit=True)
    committed.table("Invoice", {"data": names()})
    run("grant select, insert, update, delete, truncate on invoice to stranger")
    yield connection
    run("revoke all on all tables in schema public from stranger")


@pytest.fixture
def file(stranger: RawConnection) -> str:  # noqa: ARG001 -- the table
    """A file of the ordinary role's."""
    name = make_file()
    run("insert into invoice (id, data) values (1, %s)", [name])
    return name


def sqlstate(error: Exception) -> object:
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)


def execute(session: RawConnection, query: str) -> None:
    cursor = session.cursor()
    try:
        cursor.execute(query)
    finally:
        cursor.close()


@pytest.fixture(params=[False, True], ids=["sees nothing", "sees all"])
def _sights(request: pytest.FixtureRequest, stranger: RawConnection, has_catalogue: bool) -> None:  # noqa: ARG001 -- revokes
    """What else the stranger may read and change."""
    if request.param:
        run("grant select on all tables in schema public to stranger")
        if has_catalogue:
            run("grant update, delete on pg_lo_storage_file to stranger")


@pytest.mark.usefixtures("_sights")
@pytest.mark.parametrize("statement", STATEMENTS)
def test_who_may_not_unlink_has_an_error_with_a_hint(
    committed: Project, stranger: RawConnection, file: str, statement: str
) -> None:
    committed.apply(ManageLargeObjects("invoice", "data"))
    with pytest.raises(Exception, match=r"permission denied for|must be owner of") as caught:
        execute(stranger, statement)
    assert sqlstate(caught.value) == "42501"
    assert "HINT:  Role stranger needs to own the large objects" in str(caught.value)
    assert "Or make the triggers with owner=" in str(caught.value)
    assert value("select data from invoice") == file
    assert files() == loids(file)


@pytest.mark.parametrize("has_catalogue", [True], indirect=True)
@pytest.mark.usefixtures("file")
@pytest.mark.parametrize("statement", STATEMENTS)
def test_an_owner_unlinks_for_others(committed: Project, stranger: RawConnection, statement: str) -> None:
    committed.apply(ManageLargeObjects("invoice", "data", owner="app"))
    execute(stranger, statement)
    assert files() == set()


@pytest.mark.parametrize("has_catalogue", [True], indirect=True)
def test_who_names_a_file_holds_it_for_the_owner(committed: Project, stranger: RawConnection, file: str) -> None:
    committed.apply(ManageLargeObjects("invoice", "data", owner="app"))
    execute(stranger, f"insert into invoice (id, data) values (2, '{file}')")
    execute(stranger, "delete from invoice where id = 1")
    assert files() == loids(file)


def test_rows_without_files_need_no_rights(committed: Project, stranger: RawConnection) -> None:
    committed.apply(ManageLargeObjects("invoice", "data"))
    execute(stranger, "insert into invoice (id, data) values (1, ''), (2, null), (3, 'no file')")
    execute(stranger, "update invoice set data = 'none either'")
    execute(stranger, "delete from invoice")
    assert value("select count(*) from invoice") == 0


@pytest.mark.parametrize("has_catalogue", [True], indirect=True)
def test_no_other_role_may_use_the_owners_function(committed: Project, stranger: RawConnection) -> None:
    committed.apply(ManageLargeObjects("invoice", "data", owner="app"))
    run("create schema strangers; grant all on schema strangers to stranger")
    try:
        with pytest.raises(Exception, match="permission denied for function pg_lo_storage_guard_as_app"):
            execute(
                stranger,
                "create table strangers.trap (data text); create trigger trap after delete on strangers.trap"
                " for each statement execute function pg_lo_storage_guard_as_app('1', '1', 'data')",
            )
    finally:
        run("drop schema strangers cascade")


@pytest.mark.parametrize("has_catalogue", [True], indirect=True)
@pytest.mark.usefixtures("file")
def test_tables_of_the_session_do_not_stand_in_for_those_of_the_database(
    committed: Project, stranger: RawConnection
) -> None:
    committed.apply(ManageLargeObjects("invoice", "data", owner="app"))
    execute(
        stranger,
        "create temporary table pg_largeobject_metadata (oid oid); create temporary table invoice (data text);"
        " set search_path = pg_temp, public",
    )
    execute(stranger, "delete from public.invoice")
    assert files() == set()
