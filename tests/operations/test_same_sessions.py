"""Of two sessions that name a file for different tenants one is refused, whatever they see of each other."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest
from django.db import models

from pg_lo_storage.operations import ManageLargeObjects
from tests.drivers.support import execute, waiting_for_a_lock
from tests.fixtures.connections import Connect, RawConnection
from tests.fixtures.connections import run as ask
from tests.operations.support import Project, loids, make_file, names, run, value

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("has_catalogue", [True], indirect=True),
]

SNAPSHOTS = ["repeatable read", "serializable"]
CLAIM = "insert into receipt (data, tenant) values ('{}', {})"
MAKE = (
    "insert into pg_lo_storage_file (loid, extension, original_name, content_type)"
    " values (lo_create(0), '', '', '') returning loid::text"
)


@dataclass
class Sessions:
    """Two sessions in transactions, a file of tenant 1's invoice 1, and one that no row names; invoice 2 has none."""

    first: RawConnection
    second: RawConnection
    observer: RawConnection
    own: str
    free: str

    def second_waits(self, statement: str) -> AbstractContextManager[Future[None]]:
        """Have the second session wait for the first, in a thread, within the block."""
        return waiting_for_a_lock(self.second, self.observer, lambda: execute(self.second, statement))


@pytest.fixture
def sessions(committed: Project, connect: Connect) -> Sessions:
    for name in ("Invoice", "Receipt"):
        committed.table(name, {"data": names(), "tenant": models.IntegerField()})
        committed.apply(ManageLargeObjects(name, "data", same=("tenant",)))
    own, free = make_file(), make_file()
    run("insert into invoice (id, data, tenant) values (1, %s, 1), (2, '', 2)", [own])
    return Sessions(connect(), connect(), connect(autocommit=True), own, free)


def tenants(name: str) -> list[int]:
    query = "select tenant from invoice where data = %s union select tenant from receipt where data = %s"
    return [tenant for (tenant,) in run(query, [name, name])]


OTHERS = {
    "insert": ("free", CLAIM.format("{0.free}", 2)),
    "update": ("free", "update invoice set data = '{0.free}' where id = 2"),
    "move": ("own", "update invoice set tenant = 2 where id = 1"),
}


@pytest.mark.parametrize("isolation", ["read committed", *SNAPSHOTS])
@pytest.mark.parametrize("has_snapshot", [True, False])
@pytest.mark.parametrize("other", OTHERS)
def test_the_second_waits_and_is_refused(sessions: Sessions, other: str, isolation: str, has_snapshot: bool) -> None:
    which, statement = OTHERS[other]
    name = getattr(sessions, which)
    execute(sessions.second, f"set transaction isolation level {isolation}")
    if has_snapshot:
        ask(sessions.second, "select count(*) from invoice")
    execute(sessions.first, CLAIM.format(name, 1))
    with sessions.second_waits(statement.format(sessions)) as waiting:
        sessions.first.commit()
        with pytest.raises(Exception, match=r"cannot name .*a row with another tenant names") as caught:
            waiting.result()
    assert (getattr(caught.value, "sqlstate", None) or getattr(caught.value, "pgcode", None)) == "23503"
    sessions.second.rollback()
    assert tenants(name) == [1]


def test_the_second_goes_on_where_the_first_does_not(sessions: Sessions) -> None:
    execute(sessions.first, CLAIM.format(sessions.free, 1))
    with sessions.second_waits(CLAIM.format(sessions.free, 2)) as waiting:
        sessions.first.rollback()
        waiting.result()
    sessions.second.commit()
    assert tenants(sessions.free) == [2]


@pytest.mark.parametrize("isolation", SNAPSHOTS)
def test_a_snapshot_does_not_miss_who_came_to_name_the_file_since(sessions: Sessions, isolation: str) -> None:
    execute(sessions.first, f"set transaction isolation level {isolation}")
    ask(sessions.first, "select count(*) from invoice")
    run(CLAIM.format(sessions.free, 1))
    with pytest.raises(Exception, match="it is no file that this transaction made, or one that a row with another"):
        execute(sessions.first, CLAIM.format(sessions.free, 2))
    sessions.first.rollback()
    assert tenants(sessions.free) == [1]


@pytest.mark.parametrize("isolation", SNAPSHOTS)
@pytest.mark.parametrize("before", ["select 1", "select age(xmin) from pg_class limit 1", "create temp table t ()"])
def test_a_snapshot_lets_a_transactions_own_files_be_named(sessions: Sessions, isolation: str, before: str) -> None:
    session = sessions.first
    execute(session, f"set transaction isolation level {isolation}")
    execute(session, before)
    found = [loid for (loid,) in ask(session, MAKE)]
    execute(session, "savepoint one")
    found += [loid for (loid,) in ask(session, MAKE)]
    execute(session, "savepoint two")
    found += [loid for (loid,) in ask(session, MAKE)]
    execute(session, "release savepoint two")
    for loid in found:
        execute(session, CLAIM.format(loid, 1))
    execute(session, "savepoint three")
    with pytest.raises(Exception, match="a row with another tenant names"):
        execute(session, CLAIM.format(found[0], 2))
    execute(session, "rollback to savepoint three")
    session.commit()
    assert [tenants(loid) for loid in found] == [[1]] * 3


def test_a_file_is_nobodys_to_name_before_it_is_committed(sessions: Sessions) -> None:
    [(loid,)] = ask(sessions.first, MAKE)
    with pytest.raises(Exception, match="it is no file, or one that"):
        execute(sessions.second, CLAIM.format(loid, 2))
    sessions.second.rollback()
    execute(sessions.first, CLAIM.format(loid, 1))
    sessions.first.commit()
    assert tenants(loid) == [1]


def test_who_holds_a_file_keeps_nobody_waiting(sessions: Sessions) -> None:
    """As two sessions of Django's do, which hold the file before they write the row: neither waits for ever."""
    for session in (sessions.first, sessions.second):
        ask(session, f"select loid from pg_lo_storage_file where loid = {loids(sessions.own).pop()} for key share")
    for session in (sessions.first, sessions.second):
        execute(session, CLAIM.format(sessions.own, 1))
        session.commit()
    assert value("select count(*) from receipt") == 2


@pytest.fixture
def stranger(committed: Project, connect: Connect) -> Iterator[RawConnection]:
    """A role that may write rows, and read and see nothing else."""
    session = connect(user="stranger", autocommit=True)
    committed.table("Secret", {"data": names(), "tenant": models.IntegerField()})
    committed.table("Invoice", {"data": names(), "tenant": models.IntegerField()})
    for table in ("secret", "invoice"):
        committed.apply(ManageLargeObjects(table, "data", same=("tenant",), owner="app"))
    run("grant insert on invoice to stranger; grant usage on sequence invoice_id_seq to stranger")
    run("grant create on schema public to stranger")
    yield session
    execute(session, "drop table if exists trap")
    run("revoke create on schema public from stranger; revoke all on all tables in schema public from stranger")


def test_the_owner_tells_a_role_nothing_of_what_it_cannot_read(stranger: RawConnection) -> None:
    name, free = make_file(), make_file()
    run("insert into secret (data, tenant) values (%s, 815)", [name])
    told = set[str]()
    for tried in (name, "4000000000.txt", f"{name}x"):
        with pytest.raises(Exception, match="cannot name") as caught:
            execute(stranger, f"insert into invoice (data, tenant) values ('{tried}', 2)")
        told.add(str(caught.value).replace(tried, "name"))
    assert len(told) == 1
    assert not {"secret", "815"} & set(told.pop().split())
    execute(stranger, f"insert into invoice (data, tenant) values ('{free}', 2)")


def test_only_tables_of_the_project_are_asked(stranger: RawConnection) -> None:
    """Who may execute the trigger's function may make triggers of it, on tables that stand in the way of others."""
    free = make_file()
    run("grant execute on all functions in schema public to stranger")
    execute(stranger, "create table trap (tenant int, data text)")
    execute(stranger, f"insert into trap values (1, '{free}'), (2, '{free}')")
    arguments = "'2', '0', 'data', '{1}', '{tenant}'"
    execute(
        stranger,
        "create trigger trap after insert on trap referencing new table as pg_lo_new for each statement"
        f" execute function pg_lo_storage_guard_as_app({arguments})",
    )
    run("insert into invoice (data, tenant) values (%s, 7)", [free])
    assert value("select tenant from invoice") == 7
