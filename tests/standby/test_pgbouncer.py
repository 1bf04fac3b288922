"""Files behind a pgbouncer: what each of its modes lets through, and a primary that is lost."""

import importlib
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib.util import find_spec
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import DatabaseError, connections, transaction
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from example.cluster import Cluster
from pg_lo_storage.drivers import get_driver
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.storage import db_file_storage
from tests.fixtures.connections import INSTALLED, Connect, RawConnection, open_connection, run
from tests.invoices.models import Invoice
from tests.standby.bouncer import Bouncer
from tests.standby.conftest import wait_for

pytestmark = pytest.mark.server_tools

LARGE = bytes(range(256)) * 4_000


@pytest.fixture(scope="module")
def bouncer(primary: Cluster) -> Iterator[Bouncer]:
    """Transactions share two connections, and each is given the one that was used last."""
    with Bouncer("transaction", ("app", primary), size=2) as bouncer:
        yield bouncer


@pytest.fixture
def pooled(connect: Connect, bouncer: Bouncer) -> Callable[[], RawConnection]:
    """Open a client's connection, which is in autocommit."""
    return lambda: connect(dsn=bouncer.dsn("app"), autocommit=True)


@contextmanager
def in_transaction(connection: RawConnection) -> Generator[RawConnection]:
    """Hold a connection to the server meanwhile."""
    connection.autocommit = False
    run(connection, "select 1")
    yield connection
    connection.rollback()
    connection.autocommit = True


def backend(connection: RawConnection) -> int:
    """Return the process that a statement of its own runs in."""
    [(pid,)] = run(connection, "select pg_backend_pid()")
    return int(pid)


def test_in_transaction_mode_a_file_is_written_and_read_in_one_transaction(
    pooled: Callable[[], RawConnection],
) -> None:
    first, second = pooled(), pooled()
    with in_transaction(first), in_transaction(second), ExitStack() as stack:
        assert backend(first) != backend(second)
        files = [
            stack.enter_context(LargeObjectIO(get_driver(connection), mode="w+b")) for connection in (first, second)
        ]
        for n in range(3):
            for file in files:
                file.write(LARGE[n:])
        for file in files:
            file.seek(0)
            assert file.read() == LARGE + LARGE[1:] + LARGE[2:]


def test_in_transaction_mode_a_file_that_no_transaction_opened_is_read_over_several_servers(
    pooled: Callable[[], RawConnection],
) -> None:
    reader, other = pooled(), pooled()
    with LargeObjectIO(get_driver(reader), get_driver(reader).from_bytes(LARGE)) as file:
        before, start = backend(reader), file.read(100)
        with in_transaction(other):  # which has that server now
            assert backend(reader) != before
            assert start + file.read() == LARGE
    get_driver(reader).unlink(file.oid)


@pytest.mark.skipif(not find_spec("psycopg"), reason="psycopg 3 prepares statements")
def test_prepared_statements_need_a_pgbouncer_that_knows_them(bouncer: Bouncer) -> None:
    psycopg: Any = importlib.import_module("psycopg")
    with ExitStack() as stack:
        clients = [
            stack.enter_context(closing(psycopg.connect(bouncer.dsn("app"), autocommit=True, prepare_threshold=0)))
            for _ in range(2)
        ]
        oid = get_driver(clients[0]).from_bytes(b"content")

        def use() -> None:
            for client in clients:
                for _ in range(2):
                    assert get_driver(client).get(oid, 0, 10) == b"content"

        if bouncer.version >= (1, 21):
            use()
        else:
            with pytest.raises(psycopg.errors.DuplicatePreparedStatement):
                use()
        for client in clients:
            client.prepare_threshold = None
        use()


def test_in_statement_mode_only_what_is_one_statement_works(connect: Connect, primary: Cluster) -> None:
    with Bouncer("statement", ("app", primary)) as bouncer:
        driver = get_driver(connect(dsn=bouncer.dsn("app"), autocommit=True))
        oid = driver.from_bytes(b"content")
        driver.put(oid, 0, b"C")
        with LargeObjectIO(driver, oid) as file:
            assert file.read() == b"Content"
        assert driver.unlink(oid)
        connection = connect(dsn=bouncer.dsn("app"))
        with pytest.raises(Exception, match=r"transaction blocks not allowed|closed"):
            LargeObjectIO(get_driver(connection), mode="wb").write(LARGE)


@contextmanager
def aliases(**parameters: dict[str, str]) -> Generator[None]:
    """Have Django know databases by these aliases."""
    for alias, given in parameters.items():
        place = {"NAME": given["dbname"], "HOST": given["host"], "PORT": given["port"]}
        connections.settings[alias] = connections.settings["default"] | place
    try:
        yield
    finally:
        for alias in parameters:
            connections[alias].close()
            del connections[alias], connections.settings[alias]


def test_in_statement_mode_a_storage_saves_and_reads_small_files(
    two: tuple[Cluster, Cluster], django_db_blocker: DjangoDbBlocker
) -> None:
    with (
        Bouncer("statement", ("app", two[0])) as bouncer,
        aliases(pooled=bouncer.parameters("app")),
        override_settings(PG_LO_STORAGE_DB_FOR_READ="pooled", PG_LO_STORAGE_DB_FOR_WRITE="pooled"),
        django_db_blocker.unblock(),
    ):
        name = db_file_storage.save("a.pdf", ContentFile(b"small"))
        assert opened(name) == (b"small", "pooled")
        with pytest.raises(DatabaseError):
            db_file_storage.save("a.pdf", ContentFile(LARGE))
        connections["pooled"].close()
        db_file_storage.delete(name)
        assert not db_file_storage.exists(name)


def opened(name: str) -> tuple[bytes, str | None]:
    """Return what a file holds, and the alias that it was read on."""
    with db_file_storage.open(name) as file:
        return file.read(), file.stored.alias


@pytest.fixture(scope="module")
def two(primary: Cluster, django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[Cluster, Cluster]]:
    """A primary that may be lost, and its standby."""
    with Cluster(primary.bindir) as first:
        with django_db_blocker.unblock(), aliases(first=first.parameters()):
            call_command("migrate", database="first", verbosity=0)
            call_command("migrate", run_syncdb=True, database="first", verbosity=0)
        with Cluster(primary.bindir, primary=first) as second:
            yield first, second


def command(server: Cluster, query: str) -> None:
    """Run SQL as the superuser."""
    with closing(open_connection(INSTALLED[0], server.dsn(user="postgres"), autocommit=True)) as connection:
        run(connection, query)


def test_a_lost_primary_is_replaced_and_the_same_connections_go_on(
    two: tuple[Cluster, Cluster], django_db_blocker: DjangoDbBlocker
) -> None:
    first, second = two
    with (
        Bouncer("transaction", ("primary", first), ("replica", second)) as bouncer,
        aliases(pooled=bouncer.parameters("primary"), replica_pooled=bouncer.parameters("replica")),
        override_settings(PG_LO_STORAGE_DB_FOR_READ="replica_pooled", PG_LO_STORAGE_DB_FOR_WRITE="pooled"),
        django_db_blocker.unblock(),
    ):
        early = db_file_storage.save("early.pdf", ContentFile(LARGE))
        row = Invoice.objects.using("pooled").create(data=early)
        wait_for(second, first)
        assert opened(early) == (LARGE, "replica_pooled")
        # It lags: what it has not yet is read from the primary.
        command(second, "select pg_wal_replay_pause()")
        late = db_file_storage.save("late.pdf", ContentFile(b"late"))
        assert opened(late) == (b"late", "pooled")
        # What it has it shows as it was, whole.
        changed, gone = (db_file_storage.save("a.pdf", ContentFile(LARGE)) for _ in range(2))
        command(second, "select pg_wal_replay_resume()")
        wait_for(second, first)
        command(second, "select pg_wal_replay_pause()")
        with transaction.atomic("pooled"), db_file_storage.open(changed, "r+b") as file:
            file.write(b"changed")
        db_file_storage.delete(gone)
        assert opened(changed) == opened(gone) == (LARGE, "replica_pooled")
        assert db_file_storage.verify(changed)
        command(second, "select pg_wal_replay_resume()")
        wait_for(second, first)
        assert opened(late) == (b"late", "replica_pooled")
        first.stop()
        command(second, "select pg_promote()")
        bouncer.point("primary", second)
        with transaction.atomic("pooled"):
            after = db_file_storage.save("after.pdf", ContentFile(LARGE))
            Invoice.objects.using("pooled").filter(pk=row.pk).update(data=after)
        assert [opened(name)[0] for name in (early, late, after)] == [LARGE, b"late", LARGE]
        assert Invoice.objects.using("pooled").get(pk=row.pk).data.name == after
