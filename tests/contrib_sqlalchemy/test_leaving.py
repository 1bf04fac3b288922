"""What a flush leaves is unlinked where it is certain that nothing names it, and else it stays."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, Engine, MetaData, Table, delete, event, insert, select, text
from sqlalchemy.dialects.postgresql import OID
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, configure_mappers, mapped_column
from sqlalchemy.schema import Column

from example.cluster import Server
from pg_lo_storage import triggers
from pg_lo_storage.contrib.sqlalchemy import LargeObjectFile, LargeObjectType
from pg_lo_storage.exceptions import NoTransactionError
from tests.contrib_sqlalchemy.conftest import url_of
from tests.contrib_sqlalchemy.models import Base, Folder, Paper
from tests.contrib_sqlalchemy.test_files import content, saved, stored


class Elsewhere(DeclarativeBase):
    """Has a registry and tables of its own."""


class Copy(Elsewhere):
    """Is mapped, and not used by most tests."""

    __tablename__ = "copy_of_paper"
    id: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[LargeObjectFile | None] = mapped_column(LargeObjectType)


class Page(Base):
    """Has a key that the program gives."""

    __tablename__ = "page"
    folder_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[LargeObjectFile | None] = mapped_column(LargeObjectType)


UNMAPPED = Table("unmapped", Elsewhere.metadata, Column("data", LargeObjectType))
UNKNOWN = Table("unknown", MetaData(), Column("data", OID))


@pytest.fixture(autouse=True)
def tables(engine: Engine) -> Iterator[None]:
    """The tables, but for those of the other registry."""
    Base.metadata.create_all(engine)
    yield
    with engine.begin() as connection:
        for name in ("paper", "unknown"):
            triggers.remove(connection, name, "data")
        for schema in ("tenant_a", "tenant_b"):
            connection.execute(text(f"drop schema if exists {schema} cascade"))
        for metadata in (Base.metadata, Elsewhere.metadata, UNKNOWN.metadata):
            metadata.drop_all(connection)
        connection.execute(text("select lo_unlink(oid) from pg_largeobject_metadata"))


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


def oid_of(paper: Paper) -> int:
    assert paper.data is not None
    return paper.data.oid


def leaves(session: Session, engine: Engine, paper: Paper) -> list[bytes]:
    session.delete(paper)
    session.commit()
    return stored(engine)


def in_a_row_of_another_registry(session: Session, paper: Paper) -> None:
    Copy.metadata.create_all(session.connection())
    session.execute(insert(Copy).values(id=1, data=paper.data))


def in_a_row_of_no_class(session: Session, paper: Paper) -> None:
    UNMAPPED.create(session.connection())
    session.execute(insert(UNMAPPED).values(data=paper.data))


def in_another_schema(session: Session, paper: Paper) -> None:
    session.execute(text("create schema tenant_b"))
    session.execute(text("create table tenant_b.paper (data oid)"))
    session.execute(text("insert into tenant_b.paper values (:oid)"), {"oid": oid_of(paper)})


def in_a_table_with_triggers(session: Session, paper: Paper) -> None:
    UNKNOWN.create(session.connection())
    session.execute(insert(UNKNOWN).values(data=oid_of(paper)))
    triggers.install(session, "unknown", "data")


@pytest.mark.parametrize(
    "name", [in_a_row_of_another_registry, in_a_row_of_no_class, in_another_schema, in_a_table_with_triggers]
)
def test_what_another_row_names_stays(session: Session, engine: Engine, name: Callable[[Session, Paper], None]) -> None:
    [paper] = saved(session, b"shared")
    name(session, paper)
    session.commit()
    assert leaves(session, engine, paper) == [b"shared"]


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_snapshot_in_which_rows_of_others_are_missing_unlinks_nothing(engine: Engine, level: str) -> None:
    with Session(engine) as session:
        saved(session, b"shared")
    with Session(engine.execution_options(isolation_level=level)) as session:
        [paper] = session.scalars(select(Paper))
        with Session(engine) as other:
            other.add(Paper(data=LargeObjectFile(oid=oid_of(paper))))
            other.commit()
        assert leaves(session, engine, paper) == [b"shared"]


def test_rows_that_row_level_security_hides_may_name_it(session: Session, engine: Engine) -> None:
    first, second = saved(session, b"shared", b"other")
    second.data = first.data
    session.commit()
    for statement in (
        "alter table paper enable row level security",
        "alter table paper force row level security",
        f"create policy few on paper using (id = {first.id})",
    ):
        session.execute(text(statement))
    session.commit()
    assert leaves(session, engine, first) == [b"shared"]


def test_rows_that_cannot_be_read_may_name_it(session: Session, engine: Engine) -> None:
    Copy.metadata.create_all(engine)
    papers = saved(session, b"content", b"other")
    session.execute(text("revoke select on copy_of_paper from current_user"))
    session.commit()
    assert leaves(session, engine, papers[0]) == [b"content", b"other"]


def test_a_table_that_is_not_there_names_nothing(session: Session, engine: Engine) -> None:
    configure_mappers()
    [paper] = saved(session, b"content")
    assert leaves(session, engine, paper) == []


@pytest.mark.parametrize("shares", [True, False])
def test_a_schema_that_is_translated_is_that_of_the_connection(engine: Engine, shares: bool) -> None:
    tenants = [engine.execution_options(schema_translate_map={None: name}) for name in ("tenant_a", "tenant_b")]
    Base.metadata.drop_all(engine)
    for name, tenant in zip(("tenant_a", "tenant_b"), tenants[: 1 + shares], strict=False):
        with engine.begin() as connection:
            connection.execute(text(f"create schema {name}"))
        Base.metadata.create_all(tenant)
    with Session(tenants[0]) as session:
        [paper] = saved(session, b"content")
        if shares:
            with Session(tenants[1]) as other:
                other.add(Paper(data=LargeObjectFile(oid=oid_of(paper))))
                other.commit()
        assert leaves(session, engine, paper) == [b"content"] * shares


def with_beside(connection: Connection) -> None:
    triggers.install(connection, "paper", "data", beside=[("unknown", "data")])


def with_triggers_on_both(connection: Connection) -> None:
    triggers.install(connection, "paper", "data")
    triggers.install(connection, "unknown", "data")


@pytest.mark.parametrize("install", [with_beside, with_triggers_on_both])
@pytest.mark.parametrize("replaces", [True, False], ids=["replaced", "deleted"])
def test_triggers_alone_unlink_where_there_are_some(
    session: Session, engine: Engine, install: Callable[[Connection], None], replaces: bool
) -> None:
    UNKNOWN.create(engine)
    with engine.begin() as connection:
        install(connection)
    shared, _ = saved(session, b"shared", b"other")
    session.execute(insert(UNKNOWN).values(data=oid_of(shared)))
    session.commit()
    if replaces:
        for paper in session.scalars(select(Paper)):
            paper.data = None
    else:
        for paper in session.scalars(select(Paper)):
            session.delete(paper)
    session.commit()
    assert stored(engine) == [b"shared"]


@pytest.mark.parametrize("file", [b"new", None], ids=["a file", "none"])
def test_a_row_that_takes_the_place_of_a_deleted_one_leaves_its_file(
    session: Session, engine: Engine, file: bytes | None
) -> None:
    page = Page(folder_id=1, number=1, data=b"old")
    session.add(page)
    session.commit()
    session.delete(page)
    session.add(Page(folder_id=1, number=1, data=file))
    session.commit()
    assert stored(engine) == ([] if file is None else [file])


def test_one_that_says_nothing_of_the_file_keeps_it(session: Session, engine: Engine) -> None:
    page = Page(folder_id=1, number=1, data=b"old")
    session.add(page)
    session.commit()
    session.delete(page)
    session.add(Page(folder_id=1, number=1))
    session.commit()
    [kept] = session.scalars(select(Page))
    assert (stored(engine), content(session, kept.data)) == ([b"old"], b"old")


def test_without_a_transaction_files_of_rows_are_refused(engine: Engine) -> None:
    with Session(engine) as session:
        saved(session, b"content")
    with Session(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
        session.add(Paper(data=b"new"))
        with pytest.raises(NoTransactionError, match="AUTOCOMMIT"):
            session.flush()
        session.rollback()
        [paper] = session.scalars(select(Paper))
        session.delete(paper)
        with pytest.raises(NoTransactionError, match="AUTOCOMMIT"):
            session.flush()
        session.rollback()
        session.add(Folder())
        session.commit()
    assert stored(engine) == [b"content"]


def test_a_flush_asks_twice_for_all_that_it_leaves(session: Session, engine: Engine) -> None:
    saved(session, b"1", b"2", b"3")
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    for paper in session.scalars(select(Paper)):
        session.delete(paper)
    session.flush()
    questions = [it for it in asked if it.startswith("select n") or (" IN (" in it and it.startswith("SELECT"))]
    assert len(questions) == 2


def test_an_asynchronous_session_keeps_what_another_row_names(server: Server, engine: Engine) -> None:
    async def use() -> None:
        asynchronous = create_async_engine(url_of(server, "psycopg"))
        async with AsyncSession(asynchronous, expire_on_commit=False) as session:
            paper = Paper(data=LargeObjectFile(b"shared"))
            session.add_all([paper, Paper(data=LargeObjectFile(b"other"))])
            await session.commit()
            await session.run_sync(lambda it: in_a_row_of_another_registry(it, paper))
            await session.commit()
            for each in await session.scalars(select(Paper)):
                await session.delete(each)
            await session.commit()
            assert stored(engine) == [b"shared"]
            await session.execute(delete(Copy))
            await session.commit()
        no_transaction = asynchronous.execution_options(isolation_level="AUTOCOMMIT")
        async with AsyncSession(no_transaction) as session:
            session.add(Paper(data=b"new"))
            with pytest.raises(NoTransactionError):
                await session.flush()
        await asynchronous.dispose()

    asyncio.run(use())
