"""Two sessions that name and unlink the same file at the same time: one waits for the other, and no name dangles."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

import pytest
from django.conf import settings
from django.db import transaction
from django.test import override_settings

from pg_lo_storage.drivers.errors import sqlstate_of
from pg_lo_storage.lifecycle.sharing import hold, release
from pg_lo_storage.names import parse_name
from pg_lo_storage.operations import ManageLargeObjects
from tests.drivers.support import waiting_for_a_lock
from tests.fixtures.connections import Connect, RawConnection
from tests.operations.support import Project, files, loids, make_file, names, run, value

pytestmark = pytest.mark.django_db(transaction=True)

NAMINGS = {
    "insert": "insert into letter (data) values ('{name}')",
    "update": "update letter set data = '{name}' where data = 'none'",
    "copy": "insert into letter (data) select data from invoice",
    "upsert": "insert into letter values (100, '{name}') on conflict (id) do update set data = excluded.data",
}
UNLINKINGS = {
    "delete": "delete from invoice",
    "update": "update invoice set data = ''",
}


@dataclass
class Sessions:
    """Two sessions, neither in autocommit, and a file that is named once."""

    first: RawConnection
    second: RawConnection
    observer: RawConnection
    name: str

    def execute(self, session: RawConnection, query: str) -> None:
        cursor = session.cursor()
        try:
            cursor.execute(query.format(name=self.name))
        finally:
            cursor.close()

    def second_waits(self, query: str) -> AbstractContextManager[Future[None]]:
        """Have the second session wait for the first, in a thread, within the block."""
        return waiting_for_a_lock(self.second, self.observer, lambda: self.execute(self.second, query))

    def assert_whole(self, *expected: str) -> None:
        """Check that these files are left, and that each name in a row is one of them."""
        named = {name for (name,) in run("select data from invoice union select data from letter") if name}
        assert loids(*named - {"none"}) <= files()
        assert files() == loids(*expected)


@pytest.fixture
def sessions(committed: Project, connect: Connect) -> Sessions:
    committed.table("Invoice", {"data": names()})
    committed.table("Letter", {"data": names()})
    committed.apply(ManageLargeObjects("invoice", "data"), ManageLargeObjects("letter", "data"))
    name = make_file()
    run("insert into invoice (data) values (%s)", [name])
    run("insert into letter (id, data) values (100, 'none')")
    return Sessions(connect(), connect(), connect(autocommit=True), name)


@pytest.mark.parametrize("unlinking", UNLINKINGS)
@pytest.mark.parametrize("naming", NAMINGS)
def test_who_unlinks_waits_for_who_names(sessions: Sessions, naming: str, unlinking: str) -> None:
    sessions.execute(sessions.first, NAMINGS[naming])
    with sessions.second_waits(UNLINKINGS[unlinking]) as waiting:
        sessions.first.commit()
        waiting.result()
    sessions.second.commit()
    sessions.assert_whole(sessions.name)


@pytest.mark.parametrize("unlinking", UNLINKINGS)
@pytest.mark.parametrize("naming", NAMINGS)
def test_who_unlinks_goes_on_where_who_names_does_not(sessions: Sessions, naming: str, unlinking: str) -> None:
    sessions.execute(sessions.first, NAMINGS[naming])
    with sessions.second_waits(UNLINKINGS[unlinking]) as waiting:
        sessions.first.rollback()
        waiting.result()
    sessions.second.commit()
    sessions.assert_whole()


@pytest.mark.parametrize("unlinking", UNLINKINGS)
@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_who_names_waits_for_who_unlinks(sessions: Sessions, naming: str, unlinking: str, isolation: str) -> None:
    sessions.execute(sessions.second, f"set transaction isolation level {isolation}")
    sessions.execute(sessions.first, UNLINKINGS[unlinking])
    with sessions.second_waits(NAMINGS[naming]) as waiting:
        sessions.first.commit()
        with pytest.raises(Exception, match=r"unlinked by another session|could not serialize access"):
            waiting.result()
    sessions.second.rollback()
    sessions.assert_whole()


def test_the_error_says_what_to_do(sessions: Sessions) -> None:
    sessions.execute(sessions.first, "delete from invoice")
    with sessions.second_waits("insert into letter (data) values ('{name}'), ('{name}')") as waiting:
        sessions.first.commit()
        message = f"column data of table public.letter cannot name '{sessions.name}': .*\nHINT:  .* Save it again"
        with pytest.raises(Exception, match=message) as caught:
            waiting.result()
    assert sqlstate_of(caught.value) == "23503"
    sessions.second.rollback()


@pytest.mark.parametrize("has_catalogue", [False], indirect=True)  # with it, who writes locks an entry
@pytest.mark.parametrize("unlinking", UNLINKINGS)
def test_who_unlinks_what_another_session_writes_to_may_try_again(sessions: Sessions, unlinking: str) -> None:
    sessions.execute(sessions.first, f"select lo_put({parse_name(sessions.name)}, 0, 'written')")
    with sessions.second_waits(UNLINKINGS[unlinking]) as waiting:
        sessions.first.commit()
        with pytest.raises(
            Exception, match=r"another session wrote to a file that column data of table .*invoice"
        ) as caught:
            waiting.result()
    assert sqlstate_of(caught.value) == "40001"
    sessions.second.rollback()
    sessions.assert_whole(sessions.name)
    sessions.execute(sessions.second, UNLINKINGS[unlinking])
    sessions.second.commit()
    sessions.assert_whole()


@pytest.mark.parametrize("naming", NAMINGS)
def test_who_names_goes_on_where_who_unlinks_does_not(sessions: Sessions, naming: str) -> None:
    sessions.execute(sessions.first, "delete from invoice")
    with sessions.second_waits(NAMINGS[naming]) as waiting:
        sessions.first.rollback()
        waiting.result()
    sessions.second.commit()
    sessions.assert_whole(sessions.name)


def test_a_file_that_is_unlinked_before_its_name_is_copied_is_missed(sessions: Sessions) -> None:
    """The copy sees the name, and waits for something else until the file is gone."""
    sessions.execute(sessions.first, "update letter set data = 'none' where id = 100")
    copy = "update letter set data = (select data from invoice) where id = 100"
    with sessions.second_waits(copy) as waiting:
        run("delete from invoice")
        assert files() == set()
        sessions.first.commit()
        with pytest.raises(Exception, match=r"unlinked by another session"):
            waiting.result()
    sessions.second.rollback()
    sessions.assert_whole()


def test_two_rows_that_share_a_file_go_at_the_same_time(sessions: Sessions) -> None:
    run("update letter set data = %s", [sessions.name])
    sessions.execute(sessions.first, "delete from invoice")
    with sessions.second_waits("delete from letter") as waiting:
        sessions.first.commit()
        waiting.result()
    sessions.second.commit()
    sessions.assert_whole()


def test_two_sessions_replace_the_same_file(sessions: Sessions) -> None:
    first, second = make_file(), make_file()
    sessions.execute(sessions.first, f"update invoice set data = '{first}'")
    with sessions.second_waits(f"update invoice set data = '{second}'") as waiting:
        sessions.first.commit()
        waiting.result()
    sessions.second.commit()
    sessions.assert_whole(second)


@pytest.fixture
def _installed(has_catalogue: bool) -> Iterator[None]:
    """The project has the catalogue where the database has."""
    apps = [app for app in settings.INSTALLED_APPS if has_catalogue or app != "pg_lo_storage"]
    with override_settings(INSTALLED_APPS=apps):
        yield


@pytest.mark.usefixtures("_installed")
def test_triggers_wait_for_a_row_that_python_is_about_to_write(sessions: Sessions) -> None:
    with ExitStack() as stack:
        stack.enter_context(transaction.atomic())
        hold("default", [sessions.name])
        with sessions.second_waits("delete from invoice") as waiting:
            run("update letter set data = %s", [sessions.name])
            stack.close()
            waiting.result()
    sessions.second.commit()
    sessions.assert_whole(sessions.name)


@pytest.mark.usefixtures("_installed")
def test_triggers_wait_for_files_that_python_unlinks(sessions: Sessions) -> None:
    run("alter table invoice disable trigger user")
    with ExitStack() as stack:
        stack.enter_context(transaction.atomic())
        run("delete from invoice")
        release("default", [sessions.name])
        with sessions.second_waits("insert into letter (data) values ('{name}')") as waiting:
            stack.close()
            with pytest.raises(Exception, match="unlinked by another session"):
                waiting.result()
    sessions.second.rollback()
    sessions.assert_whole()


def test_truncate_sees_what_was_committed_while_it_waited(sessions: Sessions) -> None:
    name = make_file()
    sessions.execute(sessions.first, f"insert into invoice (data) values ('{name}')")
    with sessions.second_waits("truncate invoice") as waiting:
        sessions.first.commit()
        waiting.result()
    sessions.second.commit()
    sessions.assert_whole()


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
@pytest.mark.parametrize("statement", ["delete from invoice", "truncate invoice", "update invoice set data = ''"])
def test_a_snapshot_that_may_miss_references_keeps_the_file(sessions: Sessions, isolation: str, statement: str) -> None:
    sessions.execute(sessions.first, f"set transaction isolation level {isolation}")
    sessions.execute(sessions.first, "select count(*) from invoice")
    run("insert into letter (data) values (%s)", [sessions.name])
    sessions.execute(sessions.first, statement)
    sessions.first.commit()
    sessions.assert_whole(sessions.name)


def test_many_files_that_were_made_in_the_transaction_are_named_without_locks(sessions: Sessions) -> None:
    count = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
    query = "insert into letter (data) select lo_create(0)::text from generate_series(1, 20)"
    sessions.execute(
        sessions.first, "create temporary table made as select lo_create(0)::text from generate_series(1, 50)"
    )
    sessions.execute(sessions.first, "insert into letter (data) select * from made")
    sessions.execute(sessions.first, query)
    cursor = sessions.first.cursor()
    cursor.execute(count)
    assert cursor.fetchone() == (0,)
    sessions.first.rollback()
    assert value("select count(*) from letter") == 1
