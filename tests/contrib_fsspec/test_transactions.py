"""What is done whole or not at all, and whose transaction it is in."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection as django_connection
from django.db import transaction

from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.exceptions import StaleLargeObject
from tests.contrib_fsspec.conftest import ALIAS
from tests.fixtures.connections import Connect, RawConnection, run

LARGE = bytes(3_000_000)


class Failing(Exception):
    """What goes wrong in the middle."""


@pytest.fixture(params=["connection", "dsn", ALIAS])
def by_itself(request: pytest.FixtureRequest) -> PgLoFileSystem:
    """A filesystem out of any transaction."""
    if request.param == "alias":
        return PgLoFileSystem(alias="default")
    fs: PgLoFileSystem = request.getfixturevalue("own_fs" if request.param == "dsn" else "fs_in_autocommit")
    return fs


def test_a_transaction_commits_all(by_itself: PgLoFileSystem, committed: str, content: Callable[..., Any]) -> None:
    fs = by_itself
    removed = fs.pipe_file("new", b"removed")
    with fs.transaction:
        with fs.open("new", "wb") as file:
            file.write(LARGE)
        fs.pipe_file(committed, b"after")
        fs.rm(removed)
        copied = fs.cp_file(file.path, "new")
        # The transaction sees all of it, in the order it was done; nobody else sees any.
        assert fs.cat_file(committed) == b"after"
        assert content(file.path) is content(copied) is None
        assert (content(committed), content(removed)) == (b"before", b"removed")
    assert content(file.path) == content(copied) == LARGE
    assert (content(committed), content(removed)) == (b"after", None)
    assert fs.pipe_file(committed, b"and is over") == committed
    assert content(committed) == b"and is over"


def test_a_transaction_rolls_all_back(
    by_itself: PgLoFileSystem, committed: str, content: Callable[..., Any], count_large_objects: Callable[..., int]
) -> None:
    fs = by_itself
    removed = fs.pipe_file("new", b"removed")
    file = left_open = None
    with pytest.raises(Failing), fs.transaction:  # noqa: PT012 -- what is rolled back
        with fs.open("new", "wb") as file:
            file.write(LARGE)
        left_open = fs.open("new", "wb")
        left_open.write(b"more")
        fs.pipe_file(committed, b"after")
        fs.rm(removed)
        raise Failing
    assert left_open is not None
    assert left_open.closed
    assert file is not None
    assert content(file.path) is None
    assert (content(committed), content(removed)) == (b"before", b"removed")
    assert count_large_objects() == 2
    fs.pipe_file(committed, b"and is over")
    assert content(committed) == b"and is over"


def test_start_and_end(by_itself: PgLoFileSystem, committed: str, content: Callable[..., Any]) -> None:
    fs = by_itself
    fs.start_transaction()
    fs.pipe_file(committed, b"after")
    with fs.open("new", "wb") as file:
        file.write(b"new")
    with pytest.raises(RuntimeError, match="one at a time"):
        fs.start_transaction()
    assert content(committed) == b"before"
    fs.end_transaction()
    assert content(committed) == b"after"
    assert content(file.path) == b"new"


def test_a_file_left_open_lets_the_commit_fail(
    by_itself: PgLoFileSystem, committed: str, content: Callable[..., Any]
) -> None:
    fs = by_itself
    fs.start_transaction()
    fs.pipe_file(committed, b"after")
    file = fs.open("new", "w", compression="gzip")
    file.write("the last of it is not yet compressed")
    with pytest.raises(ValueError, match="close files before the transaction ends"):
        fs.end_transaction()
    file.close()
    assert content(committed) == b"before"
    with fs.transaction:
        fs.pipe_file(committed, b"and is over")
    assert content(committed) == b"and is over"


def test_a_transaction_is_used_once(by_itself: PgLoFileSystem, committed: str, content: Callable[..., Any]) -> None:
    transaction = by_itself.transaction
    with transaction:
        by_itself.pipe_file(committed, b"after")
    with pytest.raises(RuntimeError, match="is over"):
        transaction.start()
    by_itself.pipe_file(committed, b"not in it")
    assert content(committed) == b"not in it"


# psycopg 3.2 names no host.
UNREACHABLE = r"nowhere\.invalid|Name or service not known"


def test_a_transaction_that_does_not_begin_leaves_none() -> None:
    fs = PgLoFileSystem("host=nowhere.invalid", skip_instance_cache=True)
    for begin in (fs.start_transaction, fs.transaction.__enter__):
        with pytest.raises(Exception, match=UNREACHABLE):
            begin()
    # Else this would be put off until the end of a transaction that nobody ends.
    file = fs.open("new", "wb")
    with pytest.raises(Exception, match=UNREACHABLE):
        file.close()


def test_transactions_do_not_nest(by_itself: PgLoFileSystem, committed: str, content: Callable[..., Any]) -> None:
    fs = by_itself
    with pytest.raises(RuntimeError, match="one at a time"), fs.transaction:  # noqa: PT012 -- within
        fs.pipe_file(committed, b"after")
        with fs.transaction:
            pass
    assert content(committed) == b"before"


def test_a_transaction_in_the_caller_s_is_a_savepoint(
    connection: RawConnection, fs_of_caller: PgLoFileSystem, committed: str, content: Callable[..., Any]
) -> None:
    fs = fs_of_caller
    run(connection, "select 1")
    kept = fs.pipe_file("new", b"kept")
    with pytest.raises(Failing), fs.transaction:  # noqa: PT012 -- what is rolled back
        fs.pipe_file(committed, b"undone")
        raise Failing
    with fs.transaction:
        fs.pipe_file(committed, b"after")
    assert content(committed) == b"before"
    connection.commit()
    assert (content(committed), content(kept)) == (b"after", b"kept")


def test_a_transaction_is_committed_where_it_begins_one(
    connection: RawConnection, fs_of_caller: PgLoFileSystem, committed: str, content: Callable[..., Any]
) -> None:
    with fs_of_caller.transaction:
        fs_of_caller.pipe_file(committed, b"after")
    assert content(committed) == b"after"
    with pytest.raises(Failing), fs_of_caller.transaction:  # noqa: PT012 -- what is rolled back
        fs_of_caller.pipe_file(committed, b"undone")
        raise Failing
    fs_of_caller.pipe_file(committed, b"the next is the caller's")
    connection.rollback()
    assert content(committed) == b"after"


def test_a_commit_that_would_roll_back_says_so(
    autocommit: RawConnection, fs_in_autocommit: PgLoFileSystem, committed: str, content: Callable[..., Any]
) -> None:
    def abort() -> None:
        with suppress(Exception):
            run(autocommit, "select 1/0")

    with pytest.raises(Exception, match="aborted"), fs_in_autocommit.transaction:  # noqa: PT012 -- the exit raises
        fs_in_autocommit.pipe_file(committed, b"after")
        abort()
    assert content(committed) == b"before"
    assert fs_in_autocommit.cat_file(committed) == b"before"


def test_deferred_files_are_committed_or_discarded_one_by_one(
    fs: PgLoFileSystem, path: str, free_name: Callable[[], str]
) -> None:
    name = free_name()
    for target in (path, name, "new"):
        with fs.open(target, "wb", autocommit=False) as file:
            file.write(b"deferred")
        assert fs.cat_file(path) == b"0123456789"
        assert not fs.exists(name)
        file.discard()
        file.commit()
        assert fs.cat_file(path) == b"0123456789"
    with fs.open(name, "wb", autocommit=False) as file:
        file.write(b"deferred")
    file.commit()
    file.commit()
    file.discard()
    assert fs.cat_file(name) == b"deferred"


def test_a_file_that_is_read_belongs_to_its_transaction(connection: RawConnection, committed: str) -> None:
    fs = PgLoFileSystem(connection=connection)
    file = fs.open(committed)
    fs.pipe_file(committed, b"AFTER!")
    assert file.read(1) == b"b"
    connection.commit()
    with pytest.raises(StaleLargeObject):
        file.seek(0, 2)
    file.close()


def test_a_lost_connection_is_opened_again_but_not_in_a_transaction(
    own_fs: PgLoFileSystem, committed: str, content: Callable[..., Any], connect: Connect
) -> None:
    def lose() -> None:
        assert own_fs.session.driver.sql is not None
        [(pid,)] = own_fs.session.driver.sql.execute("select pg_backend_pid()")
        run(connect(autocommit=True), "select pg_terminate_backend(%s)", [pid])
        with suppress(Exception):
            own_fs.exists(committed)

    with pytest.raises(Exception, match=r"clos|terminat|lost"), own_fs.transaction:  # noqa: PT012 -- within
        own_fs.pipe_file(committed, b"first half")
        lose()
        own_fs.pipe_file("new", b"second half")
    assert content(committed) == b"before"
    assert own_fs.cat_file(committed) == b"before"


@pytest.mark.django_db(transaction=True)
def test_django_s_transactions(committed: str, content: Callable[..., Any]) -> None:
    fs = PgLoFileSystem(alias="default")
    with suppress(Failing), transaction.atomic():
        fs.pipe_file(committed, b"undone")
        raise Failing
    assert content(committed) == b"before"
    with transaction.atomic():
        with suppress(FileNotFoundError):
            fs.rm("4000000000")
        with suppress(Failing), fs.transaction:
            fs.pipe_file(committed, b"undone")
            raise Failing
        fs.pipe_file(committed, b"after")
    assert content(committed) == b"after"
    assert not django_connection.needs_rollback
