"""Which instance serves what it was given, and where else it may be used."""

import gc
import io
import json
import os
import pickle
import subprocess
import sys
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import entry_points
from typing import cast

import fsspec
import pytest
from django.db import connections

from example.cluster import Server
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.contrib.fsspec.sessions import OwnSession
from pg_lo_storage.exceptions import DriverNotFound
from pg_lo_storage.testing import InMemoryConnection
from tests.fixtures.connections import INSTALLED, Connect, RawConnection, run


def own(server: Server) -> PgLoFileSystem:
    fs = fsspec.filesystem("pglo", dsn=server.dsn())
    assert isinstance(fs, PgLoFileSystem)
    return fs


def connection_of(fs: PgLoFileSystem) -> RawConnection:
    assert isinstance(fs.session, OwnSession)
    return cast("RawConnection", fs.session.connection)


def test_the_protocol_is_registered_by_installing_the_package() -> None:
    (point,) = entry_points(group="fsspec.specs", name="pglo")
    assert point.load() is PgLoFileSystem
    assert type(fsspec.filesystem("pglo", skip_instance_cache=True)) is PgLoFileSystem


def test_one_connection_has_one_instance_whatever_its_state(connection: RawConnection, connect: Connect) -> None:
    fs = fsspec.filesystem("pglo", connection=connection)
    run(connection, "select 1")
    assert fsspec.filesystem("pglo", connection=connection) is fs
    assert fsspec.filesystem("pglo", connection=connect()) is not fs
    assert fsspec.filesystem("pglo", connection=connection, skip_instance_cache=True) is not fs


def test_a_connection_is_not_kept(connect: Connect) -> None:
    fs = weakref.ref(fsspec.filesystem("pglo", connection=connect()))
    gc.collect()
    assert fs() is None


def test_one_dsn_has_one_instance_a_thread(server: Server) -> None:
    fs = own(server)
    assert own(server) is fs
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(own, server).result()
    assert other is not fs
    for each in (fs, other):
        each.close()


def test_a_connection_is_closed_with_the_thread_it_was_opened_in(server: Server) -> None:
    def use() -> RawConnection:
        fs = own(server)
        assert fs.ls("") == []
        return connection_of(fs)

    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(use).result()
        assert not opened.closed
    gc.collect()
    assert opened.closed


def test_clearing_the_cache_gives_other_instances(server: Server) -> None:
    fs = own(server)
    PgLoFileSystem.clear_instance_cache()
    assert own(server) is not fs


def test_a_dsn_in_keywords(server: Server) -> None:
    fs = fsspec.filesystem("pglo", **server.parameters("app"))
    assert isinstance(fs, PgLoFileSystem)
    name = fs.pipe_file("new", b"content")
    assert fs.session.driver.sql is not None
    assert fs.session.driver.sql.execute("select current_setting('application_name')") == [("pg-lo-storage",)]
    assert fs.cat_file(name) == b"content"
    fs.close()


def test_connecting_is_left_for_the_first_use_and_repeated_after_close(server: Server) -> None:
    PgLoFileSystem("host=nowhere.invalid").close()
    fs = own(server)
    for _ in range(2):
        assert fs.ls("") == []
        fs.close()
        fs.close()


def test_a_connection_is_closed_with_its_filesystem(server: Server) -> None:
    fs = PgLoFileSystem(server.dsn(), skip_instance_cache=True)
    fs.ls("")
    opened = connection_of(fs)
    del fs
    gc.collect()
    assert opened.closed


def test_only_one_of_connection_alias_and_dsn(connection: RawConnection) -> None:
    for options in ({"connection": connection, "dsn": "x"}, {"alias": "default", "host": "x"}):
        with pytest.raises(TypeError, match="one of connection=, alias=, and dsn="):
            fsspec.filesystem("pglo", **options)


def test_without_a_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("psycopg", "psycopg2"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DriverNotFound, match=r"pg-lo-storage\[psycopg\]"):
        PgLoFileSystem("dbname=app", skip_instance_cache=True).ls("")


def test_a_dsn_and_an_alias_travel(server: Server) -> None:
    fs = own(server)
    name = fs.pipe_file("new", b"content")
    for copy in (pickle.loads(pickle.dumps(fs)), PgLoFileSystem.from_json(fs.to_json())):
        assert isinstance(copy, PgLoFileSystem)
        assert copy.cat_file(name) == b"content"
    fs.close()
    assert pickle.loads(pickle.dumps(PgLoFileSystem(alias="other"))).storage_options == {"alias": "other"}


def test_a_live_connection_does_not_travel(connection: RawConnection) -> None:
    with pytest.raises(TypeError, match="cannot be pickled: make it with dsn="):
        pickle.dumps(PgLoFileSystem(connection=connection))


def test_threads_share_an_instance(fs_in_autocommit: PgLoFileSystem, own_fs: PgLoFileSystem) -> None:
    for fs in (fs_in_autocommit, own_fs):
        path = fs.pipe_file("new", bytes(1_000_000))
        together = threading.Barrier(8, timeout=30)

        def work(
            number: int, fs: PgLoFileSystem = fs, path: str = path, together: threading.Barrier = together
        ) -> bytes:
            together.wait()
            with fs.open("new", "wb") as written, fs.open(path) as read:
                while block := read.read(100_000):
                    written.write(bytes([number]) * len(block))
                    assert not fs.exists(str(number + 1))
            fs.pipe_file(path, bytes(1_000_000))
            return fs.cat_file(written.path)

        with ThreadPoolExecutor(8) as pool:
            for number, content in enumerate(pool.map(work, range(8))):
                assert content == bytes([number]) * 1_000_000


@pytest.mark.django_db(transaction=True)
def test_threads_with_connections_of_their_own_do_not_wait_for_each_other() -> None:
    fs = PgLoFileSystem(alias="default")

    def look() -> bool:
        try:
            return fs.exists("1")
        finally:
            connections.close_all()

    # One may wait in the server for the other's transaction, which it must not keep from going on.
    with ThreadPoolExecutor(1) as pool, fs.session.lock:
        assert not pool.submit(look).result(timeout=30)


def test_a_driver_without_sql_has_the_caller_s_transactions_or_its_own() -> None:
    connection = InMemoryConnection()
    fs = PgLoFileSystem(connection=connection)
    name = fs.pipe_file("new", b"content")
    with pytest.raises(io.UnsupportedOperation, match="InMemoryDriver"), fs.transaction:
        fs.rm(name)
    connection.rollback()
    with pytest.raises(FileNotFoundError):
        fs.cat_file(name)
    connection.rollback()
    with fs.transaction:
        name = fs.pipe_file("new", b"content")
    connection.rollback()
    connection.autocommit = True
    assert fs.cat_file(name) == b"content"
    with suppress(ZeroDivisionError), fs.transaction:
        fs.rm(name)
        raise ZeroDivisionError
    assert fs.cat_file(name) == b"content"
    with fs.transaction:
        fs.rm(name)
    assert not fs.exists(name)
    with pytest.raises(io.UnsupportedOperation, match="InMemoryDriver"):
        fs.ls("")


def test_a_forked_process_connects_anew(own_fs: PgLoFileSystem) -> None:
    name = own_fs.pipe_file("new", b"content")
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        status = 1
        try:
            os.write(writer, own_fs.cat_file(name))
            own_fs.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.read(reader, 100) == b"content"
    for end in (reader, writer):
        os.close(end)
    assert own_fs.cat_file(name) == b"content"


def test_what_a_forked_process_leaves_behind_is_its_parents(server: Server) -> None:
    fs = PgLoFileSystem(dsn=server.dsn(), skip_instance_cache=True)
    name = fs.pipe_file("new", b"content")
    opened = [fs.open(name, "wb")]
    if (pid := os.fork()) == 0:
        status = 1
        try:
            with warnings.catch_warnings(record=True) as told:
                opened.clear()
                fs.close()
                gc.collect()
            status = len(told)
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    opened.pop().discard()
    assert fs.cat_file(name) == b"content"
    fs.close()


def test_a_transaction_is_not_gone_on_with_in_a_forked_process(own_fs: PgLoFileSystem) -> None:
    with own_fs.transaction:
        name = own_fs.pipe_file("new", b"content")
        if (pid := os.fork()) == 0:
            status = 1
            try:
                own_fs.pipe_file(name, b"the child's")
            except RuntimeError:
                own_fs.transaction.complete(commit=False)
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
    assert own_fs.cat_file(name) == b"content"


def test_options_of_fsspec_are_not_libpq_s(server: Server) -> None:
    fs = PgLoFileSystem(server.dsn(), use_listings_cache=False, skip_instance_cache=True)
    assert fs.ls("") == []
    fs.close()


def test_psycopg_comes_before_psycopg2(server: Server) -> None:
    fs = own(server)
    fs.ls("")
    assert type(fs.session.driver).__name__ == ("Psycopg3Driver" if "psycopg" in INSTALLED else "Psycopg2Driver")
    fs.close()


def test_django_is_imported_for_an_alias_only(server: Server) -> None:
    code = (
        "import sys, fsspec; fs = fsspec.filesystem('pglo', dsn=sys.argv[1]); assert fs.ls('') == []; fs.close();"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'django']"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, server.dsn()], check=True)


def test_storage_options_are_json(server: Server) -> None:
    assert json.loads(own(server).to_json())["dsn"] == server.dsn()
