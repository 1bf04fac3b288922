"""Triggers without Django: installed over any connection, from Alembic, or by the program."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Engine, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from example.cluster import Server
from pg_lo_storage import triggers
from pg_lo_storage.contrib.sqlalchemy import LargeObjectFile
from pg_lo_storage.testing import InMemoryConnection, InMemoryServer
from tests.contrib_sqlalchemy.models import Base, Paper, Signed
from tests.contrib_sqlalchemy.test_files import stored


@pytest.fixture(autouse=True)
def tables(engine: Engine) -> Iterator[None]:
    """The tables, without triggers, rows and large objects."""
    Base.metadata.create_all(engine)
    yield
    with engine.begin() as connection:
        for table, column in (("paper", "data"), ("signed", "signature")):
            triggers.remove(connection, table, column)
    Base.metadata.drop_all(engine)
    with engine.begin() as connection:
        assert connection.scalar(text("select count(*) from pg_proc where proname like 'pg_lo_storage%'")) == 0
        connection.execute(text("select lo_unlink(oid) from pg_largeobject_metadata"))


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session, with triggers on the column of papers."""
    with engine.begin() as connection:
        triggers.install(connection, "paper", "data", beside=[("signed", "signature")])
    with Session(engine) as session:
        yield session


def saved(session: Session, *contents: bytes) -> None:
    session.add_all([Paper(data=LargeObjectFile(content)) for content in contents])
    session.commit()


def test_what_bulk_statements_leave_is_unlinked(session: Session, engine: Engine) -> None:
    saved(session, b"1", b"2", b"3")
    session.execute(delete(Paper).where(Paper.id == select(func.min(Paper.id)).scalar_subquery()))
    session.commit()
    assert len(stored(engine)) == 2
    session.execute(update(Paper).values(data=None))
    session.rollback()
    assert len(stored(engine)) == 2
    session.execute(text("truncate paper cascade"))
    session.commit()
    assert stored(engine) == []


def test_mapped_files_go_together_with_triggers(session: Session, engine: Engine) -> None:
    saved(session, b"1", b"2", b"3")
    first, second, _ = session.query(Paper).order_by(Paper.id)
    first.data = LargeObjectFile(b"new")
    session.delete(second)
    session.commit()
    assert stored(engine) == [b"3", b"new"]
    first.data = None
    session.rollback()
    first.data = None
    session.commit()
    assert stored(engine) == [b"3"]


def test_what_another_column_names_is_kept(session: Session, engine: Engine) -> None:
    file = LargeObjectFile(b"content")
    session.add_all([Paper(data=file), Signed(signature=file)])
    session.commit()
    session.execute(update(Paper).values(data=None))
    session.commit()
    assert stored(engine) == [b"content"]


def test_a_later_column_is_known_beside_the_first(session: Session, engine: Engine) -> None:
    with engine.begin() as connection:
        triggers.install(connection, "signed", "signature")
    file = LargeObjectFile(b"content")
    session.add_all([Paper(data=file), Signed(signature=file)])
    session.commit()
    session.execute(update(Signed).values(signature=None))
    session.commit()
    assert stored(engine) == [b"content"]
    session.execute(update(Paper).values(data=None))
    session.commit()
    assert stored(engine) == []


def test_a_missing_object_takes_the_place_of_none(session: Session) -> None:
    saved(session, b"content")
    with pytest.raises(DBAPIError, match="no such file"):
        session.execute(update(Paper).values(data=4_000_000_000))
    session.rollback()


def test_alembic_installs_and_removes_them(engine: Engine) -> None:
    with engine.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)) as op:
            triggers.install(op.get_bind(), "paper", "data")
        assert connection.scalar(text("select count(*) from pg_trigger where not tgisinternal")) == 5
        triggers.install(connection, "paper", "data", truncate="keep")
        assert connection.scalar(text("select count(*) from pg_trigger where not tgisinternal")) == 3
        triggers.remove(connection, "paper", "data")
        assert connection.scalar(text("select count(*) from pg_trigger where not tgisinternal")) == 0


@pytest.mark.parametrize("runs", [False, True], ids=["printed", "run"])
def test_the_program_prints_or_runs_the_sql(engine: Engine, server: Server, runs: bool) -> None:
    command = [sys.executable, "-m", "pg_lo_storage", "triggers", "paper", "data", "signed", "signature"]
    command += ["--dsn", server.dsn()] if runs else []
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with engine.begin() as connection:
        if not runs:
            connection.connection.cursor().execute(printed)
        assert connection.scalar(text("select count(*) from pg_trigger where not tgisinternal")) == 10
    with Session(engine) as session:
        saved(session, b"content")
        session.execute(delete(Paper))
        session.commit()
    assert stored(engine) == []
    if runs:
        subprocess.run([*command, "--remove"], check=True)
        with engine.connect() as connection:
            assert connection.scalar(text("select count(*) from pg_trigger where not tgisinternal")) == 0


def test_the_program_says_what_is_missing() -> None:
    command = [sys.executable, "-m", "pg_lo_storage", "triggers", "paper"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "a table and its column" in done.stderr) == (2, True)


def test_a_driver_without_sql_makes_no_triggers() -> None:
    with pytest.raises(ValueError, match="has no SQL, which triggers are made by"):
        triggers.install(InMemoryConnection(InMemoryServer()), "paper", "data")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_the_program_takes_the_driver_that_is_there(
    engine: Engine, server: Server, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if driver == "psycopg2":
        monkeypatch.setitem(sys.modules, "psycopg", None)
    triggers.main(["paper", "data", "--dsn", server.dsn()])
    monkeypatch.undo()
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from pg_trigger where not tgisinternal")) == 5
