"""What a standby takes from whoever reads there, and what is left when the primary is lost."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager

import pytest
from django.core.files.base import ContentFile
from django.db import OperationalError, connections, transaction
from pytest_django import DjangoDbBlocker

from example.cluster import Cluster, Server
from pg_lo_storage.drivers import get_driver
from pg_lo_storage.exceptions import LargeObjectNotFound, LargeObjectReadOnly
from pg_lo_storage.storage import DbFileStorage
from tests.drivers.support import READ, driver_error
from tests.fixtures.connections import INSTALLED, Connect, open_connection, run
from tests.fixtures.server import known_as, migrate
from tests.invoices.models import Invoice
from tests.standby.conftest import wait_for

pytestmark = pytest.mark.server_tools

LARGE = bytes(range(256)) * 8_000


@pytest.fixture(scope="module")
def eager(primary: Cluster) -> Iterator[Cluster]:
    """A standby that ends at once whatever keeps it from following the primary."""
    with Cluster(primary.bindir, ["-c", "max_standby_streaming_delay=0"], primary) as standby:
        yield standby


def unlink_for_good(primary: Cluster, oid: int) -> None:
    """Unlink an object, and vacuum its pages away."""
    with closing(open_connection(INSTALLED[0], primary.dsn(), autocommit=True)) as connection:
        get_driver(connection).unlink(oid)
        cursor = connection.cursor()
        cursor.execute("vacuum pg_largeobject")


def test_a_reader_whose_pages_are_vacuumed_away_gets_the_drivers_error(
    connect: Connect, primary: Cluster, eager: Cluster
) -> None:
    oid = get_driver(connect(dsn=primary.dsn(), autocommit=True)).from_bytes(LARGE)
    wait_for(eager, primary)
    connection = connect(dsn=eager.dsn())
    file = get_driver(connection).open(oid, READ)
    assert file.read(10) == LARGE[:10]
    unlink_for_good(primary, oid)
    wait_for(eager, primary)
    with pytest.raises(driver_error(connection)):
        file.read(10)
    with pytest.raises(LargeObjectNotFound):
        get_driver(connect(dsn=eager.dsn())).open(oid, READ)


def test_outside_a_transaction_a_reader_is_in_nobodys_way(connect: Connect, primary: Cluster, eager: Cluster) -> None:
    driver = get_driver(connect(dsn=primary.dsn(), autocommit=True))
    oid, other = driver.from_bytes(LARGE), driver.from_bytes(LARGE)
    wait_for(eager, primary)
    reader = get_driver(connect(dsn=eager.dsn(), autocommit=True))
    assert reader.get(oid, 0, 10) == LARGE[:10]
    unlink_for_good(primary, other)
    wait_for(eager, primary)
    assert reader.get(oid, 10, 10) == LARGE[10:20]
    assert not reader.exists(other)


class Pair:
    """A primary and its standby, which Django knows by one alias: libpq takes whichever may be written to."""

    def __init__(self, first: Cluster, second: Cluster) -> None:
        self.first, self.second = first, second

    def fail_over(self) -> None:
        wait_for(self.second, self.first)
        self.first.stop()
        with closing(open_connection(INSTALLED[0], self.second.dsn("app", "postgres"), autocommit=True)) as connection:
            assert run(connection, "select pg_promote()") == [(True,)]


@contextmanager
def a_pair(first: Cluster, second: Cluster) -> Generator[Pair]:
    with known_as("pair", first):
        connections.settings["pair"] |= {
            "HOST": f"{first.folder},{second.folder}",
            "PORT": f"{first.port},{second.port}",
            "OPTIONS": {"target_session_attrs": "read-write"},
        }
        migrate("pair")
        yield Pair(first, second)


@pytest.fixture
def pair(server: Server, django_db_blocker: DjangoDbBlocker) -> Iterator[Pair]:
    with (
        Cluster(server.bindir) as first,
        Cluster(server.bindir, primary=first) as second,
        django_db_blocker.unblock(),
        a_pair(first, second) as pair,
    ):
        yield pair


def test_when_the_primary_is_lost_the_next_request_finds_all_files_on_the_standby(pair: Pair) -> None:
    storage = DbFileStorage(alias="pair")
    row = Invoice.objects.using("pair").create(data=ContentFile(LARGE, "a.txt"))
    other = Invoice.objects.using("pair").create(data=ContentFile(b"small", "a.txt"))
    with known_as("standby", pair.second):
        reading = DbFileStorage(alias="standby")
        wait_for(pair.second, pair.first)
        with pytest.raises(LargeObjectReadOnly):
            reading.save("b.txt", ContentFile(b"content"))
        assert row.data.name
        with reading.open(row.data.name) as file:
            assert file.read(10) == LARGE[:10]
            with pytest.raises(OperationalError), transaction.atomic("pair"):  # noqa: PT012 -- what is lost in it
                row.data = ContentFile(b"never committed", "a.txt")
                row.save()
                pair.fail_over()
                storage.save("b.txt", ContentFile(b"content"))
            # It was opened on the standby, and is read on where that has become the primary.
            assert file.read() == LARGE[10:]
        assert reading.save("b.txt", ContentFile(b"content"))
    connections["pair"].close_if_unusable_or_obsolete()  # as at the end of a request
    row.refresh_from_db()
    assert row.data.name
    assert storage.verify(row.data.name)
    with storage.open(row.data.name) as file:
        assert file.read() == LARGE
    replaced, other.data = other.data.name, ContentFile(b"replaced", "a.txt")
    other.save()
    assert replaced
    assert not storage.exists(replaced)
    assert other.data.name
    assert storage.verify(other.data.name)
