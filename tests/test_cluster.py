"""The infrastructure that the other tests stand on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import OperationalError, connections

from example.cluster import Cluster, find_bindir
from tests.fixtures.connections import Connect, RawConnection, run
from tests.fixtures.proxy import Messages, Wire
from tests.invoices.models import Note

pytestmark = pytest.mark.once

# Whoever runs the tests in the background may have them ignore Ctrl-C.
HOLD_A_CLUSTER = """
import signal
import time
from example.cluster import Cluster
signal.signal(signal.SIGINT, signal.default_int_handler)
with Cluster() as cluster:
    print(cluster.pid, cluster.folder, flush=True)
    time.sleep(100)
"""


def process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def needs_binaries() -> None:
    try:
        find_bindir()
    except LookupError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("dbname", ["app", "other"])
def test_the_role_is_an_ordinary_one_and_owns_its_databases(connect: Connect, dbname: str) -> None:
    connection = connect(dbname=dbname)
    query = """
        select rolsuper, rolcreatedb, rolcreaterole, pg_get_userbyid(datdba) = current_user
        from pg_roles, pg_database where rolname = current_user and datname = current_database()
    """
    assert run(connection, query) == [(False, False, False, True)]


def test_the_stranger_is_an_ordinary_role_that_owns_nothing(connect: Connect) -> None:
    connection = connect(user="stranger")
    query = """
        select rolsuper, pg_has_role('app', 'usage'), pg_get_userbyid(datdba) = current_user
        from pg_roles, pg_database where rolname = current_user and datname = current_database()
    """
    assert run(connection, query) == [(False, False, False)]


@pytest.mark.django_db(databases=["default", "other", "replica"])
def test_django_has_its_tables_in_both_databases() -> None:
    for alias in ("default", "other"):
        Note.objects.using(alias).create(text=alias)
        assert [note.text for note in Note.objects.using(alias)] == [alias]
    assert not Note.objects.using("replica").exists()


@pytest.mark.django_db(transaction=True, databases=["default", "replica"])
def test_the_replica_is_another_connection_to_the_same_data() -> None:
    Note.objects.create(text="committed")
    assert [note.text for note in Note.objects.using("replica")] == ["committed"]


@pytest.mark.parametrize("_round", [1, 2])
def test_each_test_starts_without_large_objects(
    connection: RawConnection, count_large_objects: Callable[[], int], _round: int
) -> None:
    assert count_large_objects() == 0
    run(connection, "select lo_create(0) from generate_series(1, %s)", [1500])
    assert count_large_objects() == 0
    connection.commit()
    assert count_large_objects() == 1500


def test_the_wire_counts_statements(connect: Connect, wire: Wire) -> None:
    connection = connect(dsn=wire.dsn, autocommit=True)
    with wire.counting() as trips:
        run(connection, "select 1")
        assert trips.count == 1
        run(connection, "select repeat('x', 300000)")
        assert trips.count == 2
    run(connection, "select 1")
    assert trips.count == 2


def test_the_wire_finds_messages_however_they_arrive() -> None:
    stream = b"Z\0\0\0\5I" + b"D\0\0\0\x0cZ\0\0\0\5IZZ" + b"1\0\0\0\4" + b"Z\0\0\0\5T"
    for size in range(1, len(stream) + 1):
        messages = Messages()
        parts = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert b"".join(kind for part in parts for kind in messages.types(part)) == b"ZD1Z"


@pytest.mark.django_db(databases=["wired"])
def test_a_transaction_on_the_wire_can_be_cut(wire: Wire) -> None:
    Note.objects.using("wired").create(text="lost")
    wire.drop()
    with pytest.raises(OperationalError):
        Note.objects.using("wired").count()


@pytest.mark.django_db(transaction=True, databases=["wired"])
def test_a_django_alias_goes_through_the_wire_which_can_be_cut(wire: Wire) -> None:
    connection = connections["wired"]
    with connection.cursor() as cursor:
        cursor.execute("select 1")
        with wire.counting() as trips:
            cursor.execute("select 1")
        assert trips.count == 1
    wire.drop()
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("select 1")


def test_a_cluster_leaves_nothing_behind() -> None:
    needs_binaries()
    with Cluster() as cluster:
        assert process_exists(cluster.pid)
        assert cluster.folder.exists()
    assert not process_exists(cluster.pid)
    assert not cluster.folder.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_cluster_ends_with_its_process(number: signal.Signals) -> None:
    needs_binaries()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_A_CLUSTER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as process:
        assert process.stdout
        pid, folder = process.stdout.readline().split()
        assert process_exists(int(pid))
        process.send_signal(number)
        assert process.wait(30) != 0
    deadline = time.monotonic() + 30
    while (process_exists(int(pid)) or Path(folder).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not process_exists(int(pid))
    assert not Path(folder).exists()
