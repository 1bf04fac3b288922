"""A mapped file lives with its row, in the session's transaction."""

import asyncio
import io
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError, InvalidRequestError, StatementError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, configure_mappers

import pg_lo_storage
from example.cluster import Server
from pg_lo_storage.contrib.sqlalchemy import LargeObjectFile
from pg_lo_storage.exceptions import LargeObjectNotFound
from tests.contrib_sqlalchemy.conftest import url_of
from tests.contrib_sqlalchemy.models import Base, Folder, Paper, Signed
from tests.contrib_sqlalchemy.support import LARGE


@pytest.fixture(autouse=True)
def tables(engine: Engine) -> Iterator[None]:
    """The tables, without rows and large objects."""
    Base.metadata.create_all(engine)
    yield
    Base.metadata.drop_all(engine)
    with engine.begin() as connection:
        connection.execute(text("select lo_unlink(oid) from pg_largeobject_metadata"))


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


def stored(engine: Engine) -> list[bytes]:
    """Return the content of all large objects that are committed."""
    with engine.connect() as connection:
        return sorted(map(bytes, connection.scalars(text("select lo_get(oid) from pg_largeobject_metadata"))))


def content(session: Session, file: LargeObjectFile | None) -> bytes | None:
    return None if file is None else pg_lo_storage.load(session, file.oid)


CONTENTS: dict[str, Callable[[], LargeObjectFile]] = {
    "bytes": lambda: LargeObjectFile(LARGE),
    "memoryview": lambda: LargeObjectFile(memoryview(LARGE)),
    "file": lambda: LargeObjectFile(io.BytesIO(LARGE)),
    "iterable": lambda: LargeObjectFile(LARGE[start : start + 100_000] for start in range(0, len(LARGE), 100_000)),
}


@pytest.mark.parametrize("make", CONTENTS.values(), ids=list(CONTENTS))
def test_a_file_is_saved_with_its_row(session: Session, engine: Engine, make: Callable[[], LargeObjectFile]) -> None:
    paper = Paper(data=make())
    session.add(paper)
    session.flush()
    assert stored(engine) == []
    session.commit()
    assert stored(engine) == [LARGE]
    session.expunge_all()
    found = session.scalars(select(Paper)).one()
    assert content(session, found.data) == LARGE


def test_without_the_wrapper_it_is_a_file_as_well(session: Session, engine: Engine) -> None:
    session.add_all([Paper(data=b"1"), Paper(data=io.BytesIO(b"2")), Paper(data=None), Paper()])
    session.commit()
    assert stored(engine) == [b"1", b"2"]
    assert session.scalars(select(Paper.id).where(Paper.data.is_(None))).all() != []


class Awaited:
    async def read(self, size: int) -> bytes:
        return bytes(size)


@pytest.mark.parametrize(
    "value", ["text", 7, object(), io.StringIO("text"), ["text"], (b"bytes", "text"), {"key": b"value"}, Awaited()]
)
def test_what_is_no_content_is_refused_at_once(value: object) -> None:
    with pytest.raises(TypeError):
        Paper(data=value)


def test_a_file_has_content_or_an_oid() -> None:
    with pytest.raises(TypeError):
        LargeObjectFile()
    with pytest.raises(TypeError):
        LargeObjectFile(b"", oid=1)
    with pytest.raises(ValueError, match="not saved"):
        _ = LargeObjectFile(b"content").oid


def test_files_with_the_same_oid_are_equal() -> None:
    file = LargeObjectFile(b"content")
    assert file == file  # noqa: PLR0124 -- what is asked
    assert file != LargeObjectFile(b"content")
    assert LargeObjectFile(oid=1) != file
    assert {LargeObjectFile(oid=1), file} == {file, LargeObjectFile(oid=1)}
    assert LargeObjectFile(oid=1) != LargeObjectFile(oid=2)


def saved(session: Session, *contents: bytes) -> list[Paper]:
    papers = [Paper(data=LargeObjectFile(content)) for content in contents]
    session.add_all(papers)
    session.commit()
    return papers


def test_a_replaced_file_is_unlinked_in_the_transaction(session: Session, engine: Engine) -> None:
    [paper] = saved(session, b"old")
    paper.data = LargeObjectFile(b"new")
    session.flush()
    assert stored(engine) == [b"old"]
    session.commit()
    assert stored(engine) == [b"new"]
    assert content(session, paper.data) == b"new"


def test_a_cleared_and_a_deleted_file_are_unlinked(session: Session, engine: Engine) -> None:
    first, second, _ = saved(session, b"first", b"second", b"third")
    first.data = None
    session.delete(second)
    session.commit()
    assert stored(engine) == [b"third"]


def test_a_row_without_a_file_is_deleted_and_gets_one(session: Session, engine: Engine) -> None:
    [kept, without, empty] = [Paper(data=b"kept"), Paper(), Paper()]
    session.add_all([kept, without, empty])
    session.commit()
    session.delete(without)
    empty.data = LargeObjectFile(b"new")
    session.commit()
    assert stored(engine) == [b"kept", b"new"]


def test_a_rollback_brings_everything_back(session: Session, engine: Engine) -> None:
    first, second, third = saved(session, b"first", b"second", b"third")
    first.data = LargeObjectFile(b"new")
    second.data = None
    session.delete(third)
    session.add(Paper(data=LargeObjectFile(b"another")))
    session.flush()
    session.rollback()
    assert stored(engine) == [b"first", b"second", b"third"]
    assert [content(session, paper.data) for paper in (first, second, third)] == [b"first", b"second", b"third"]


def test_a_savepoint_that_is_rolled_back_brings_back_what_was_before_it(session: Session, engine: Engine) -> None:
    [paper] = saved(session, b"old")
    paper.data = LargeObjectFile(b"before")
    with session.begin_nested() as nested:
        paper.data = LargeObjectFile(b"within")
        session.flush()
        nested.rollback()
    assert content(session, paper.data) == b"before"
    with session.begin_nested():
        paper.data = LargeObjectFile(b"released")
    session.commit()
    assert stored(engine) == [b"released"]


def test_a_change_of_other_columns_leaves_the_file(session: Session, engine: Engine) -> None:
    [paper] = saved(session, b"content")
    file = paper.data
    paper.title = "title"
    session.commit()
    assert stored(engine) == [b"content"]
    assert file is not None
    assert paper.data is not None
    assert paper.data.oid == file.oid


def expunge_and_roll_back(session: Session) -> None:
    session.expunge_all()
    session.rollback()


ENDS: dict[str, Callable[[Session], None]] = {
    "rollback": Session.rollback,
    "close": Session.close,
    "expunge and rollback": expunge_and_roll_back,
}


@pytest.mark.parametrize("end", ENDS.values(), ids=list(ENDS))
def test_what_was_rolled_back_can_be_saved_again(
    session: Session, engine: Engine, end: Callable[[Session], None]
) -> None:
    files = [LargeObjectFile(b"bytes"), LargeObjectFile(io.BytesIO(b"seekable"))]
    files[1].to_save()  # as a failed attempt has left it
    session.add_all([Paper(data=file) for file in files])
    session.flush()
    end(session)
    assert not any(file.is_saved for file in files)
    session.add_all([Paper(data=file) for file in files])
    session.commit()
    assert stored(engine) == [b"bytes", b"seekable"]


def test_after_a_failed_flush_the_row_can_be_mended(session: Session, engine: Engine) -> None:
    session.add(Paper(title="taken"))
    session.commit()
    paper = Paper(title="taken", data=LargeObjectFile(io.BytesIO(LARGE)))
    session.add(paper)
    with pytest.raises(IntegrityError):
        session.commit()
    session.rollback()
    paper.title = "free"
    session.add(paper)
    session.commit()
    assert stored(engine) == [LARGE]


class Pipe(io.BytesIO):
    """Is read once, as what comes over a socket."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise io.UnsupportedOperation("tell")


@pytest.mark.parametrize("stream", [lambda: iter([b"content"]), lambda: Pipe(b"content")], ids=["iterator", "pipe"])
def test_a_stream_that_was_read_and_rolled_back_is_refused(
    session: Session, engine: Engine, stream: Callable[[], Iterator[bytes] | Pipe]
) -> None:
    file = LargeObjectFile(stream())
    session.add(Paper(data=file))
    session.flush()
    session.rollback()
    session.add(Paper(data=file))
    with pytest.raises(ValueError, match="before the rollback"):
        session.commit()
    session.rollback()
    assert stored(engine) == []


def test_a_content_that_fails_fails_the_flush_and_leaves_nothing(session: Session, engine: Engine) -> None:
    def failing() -> Iterator[bytes]:
        yield LARGE
        raise LookupError

    session.add(Paper(data=LargeObjectFile(failing())))
    with pytest.raises(LookupError):
        session.commit()
    session.rollback()
    assert stored(engine) == []


def test_a_file_that_another_row_names_is_not_unlinked(session: Session, engine: Engine) -> None:
    first, second = saved(session, b"shared", b"other")
    second.data = first.data
    session.commit()
    assert stored(engine) == [b"shared"]
    session.delete(first)
    session.commit()
    assert content(session, second.data) == b"shared"
    session.delete(second)
    session.commit()
    assert stored(engine) == []


def test_two_rows_swap_their_files(session: Session) -> None:
    first, second = saved(session, b"first", b"second")
    first.data, second.data = second.data, first.data
    session.commit()
    assert [content(session, paper.data) for paper in (first, second)] == [b"second", b"first"]


def test_a_row_that_was_changed_by_others_leaves_what_it_names_now(session: Session, engine: Engine) -> None:
    [paper] = saved(session, b"old")
    assert paper.data is not None
    session.commit()
    with Session(engine) as other:
        theirs = other.get(Paper, paper.id)
        session.commit()
        assert theirs is not None
        theirs.data = LargeObjectFile(b"theirs")
        other.commit()
    paper.data = LargeObjectFile(b"ours")
    session.commit()
    assert stored(engine) == [b"ours"]


def test_a_file_is_replaced_in_a_row_whose_file_was_not_loaded(session: Session, engine: Engine) -> None:
    saved(session, b"old")
    session.expire_all()
    session.scalars(select(Paper)).one().data = LargeObjectFile(b"new")
    session.commit()
    assert stored(engine) == [b"new"]


def test_files_of_cascades_and_of_joined_tables_are_unlinked(session: Session, engine: Engine) -> None:
    folder = Folder(papers=[Paper(data=b"orphan"), Signed(data=b"paper", signature=b"signature")])
    session.add(folder)
    session.commit()
    assert stored(engine) == [b"orphan", b"paper", b"signature"]
    signed = session.scalars(select(Signed)).one()
    signed.signature = LargeObjectFile(b"again")
    folder.papers.remove(next(paper for paper in folder.papers if paper is not signed))
    session.commit()
    assert stored(engine) == [b"again", b"paper"]
    session.delete(folder)
    session.commit()
    assert stored(engine) == []


def test_a_missing_object_cannot_be_named(session: Session) -> None:
    session.add(Paper(data=LargeObjectFile(oid=4_000_000_000)))
    with pytest.raises(LargeObjectNotFound):
        session.commit()


def test_a_detached_row_is_merged_with_its_file(session: Session, engine: Engine) -> None:
    [paper] = saved(session, b"old")
    session.refresh(paper)
    session.expunge_all()
    session.merge(paper)
    session.commit()
    assert stored(engine) == [b"old"]
    paper.data = LargeObjectFile(b"new")
    merged = session.merge(paper)
    session.commit()
    assert stored(engine) == [b"new"]
    assert content(session, merged.data) == b"new"


def test_a_session_with_several_binds_has_to_be_told_which(engine: Engine) -> None:
    configure_mappers()
    same = engine.execution_options()
    with Session(engine, binds={Paper: same}) as session:
        [paper] = saved(session, b"content")
        assert paper.data is not None
        with pytest.raises(InvalidRequestError, match=r"bind_arguments=\{\"mapper\": (Paper|Signed)\}"):
            pg_lo_storage.load(session, paper.data.oid)
        connection = session.connection(bind_arguments={"mapper": Paper})
        assert pg_lo_storage.load(connection, paper.data.oid) == b"content"


def test_a_session_with_a_rule_of_its_own_for_binds_goes_by_it(engine: Engine) -> None:
    class Routing(Session):
        def get_bind(self, *_args: object, **_options: object) -> Engine:
            return engine

    configure_mappers()
    with Routing() as session:
        [paper] = saved(session, b"content")
        assert content(session, paper.data) == b"content"


def test_bulk_statements_take_oids_and_refuse_what_is_not_saved(session: Session, engine: Engine) -> None:
    for statement in (
        insert(Paper).values(data=LargeObjectFile(b"1")),
        update(Paper).values(data=LargeObjectFile(b"1")),
    ):
        with pytest.raises(StatementError, match="not saved"):
            session.execute(statement.values(data=LargeObjectFile(b"1")))
    with pytest.raises(StatementError, match="not saved"):
        session.execute(insert(Paper), [{"data": LargeObjectFile(b"1")}, {"data": LargeObjectFile(b"2")}])
    session.rollback()
    oids = [pg_lo_storage.save(session, data) for data in (b"1", b"2")]
    session.execute(insert(Paper), [{"data": LargeObjectFile(oid=oids[0])}, {"data": oids[1]}])
    session.commit()
    assert sorted(str(content(session, file)) for file in session.scalars(select(Paper.data))) == ["b'1'", "b'2'"]
    assert session.scalars(select(Paper.id).where(Paper.data == LargeObjectFile(oid=oids[0]))).one()
    session.execute(delete(Paper))
    session.commit()
    assert stored(engine) == [b"1", b"2"]  # without triggers


@pytest.mark.usefixtures("engine")
def test_all_that_is_done_by_an_asynchronous_session_as_well(server: Server, engine: Engine) -> None:
    async def use() -> None:
        asynchronous = create_async_engine(url_of(server, "psycopg"))
        async with AsyncSession(asynchronous, expire_on_commit=False) as session:
            paper = Paper(data=LargeObjectFile(io.BytesIO(LARGE)))
            session.add_all([paper, Paper(data=LargeObjectFile(b"other"))])
            await session.commit()
            assert paper.data is not None
            assert await pg_lo_storage.load(session, paper.data.oid) == LARGE
            paper.data = LargeObjectFile(b"new")
            await session.flush()
            await session.rollback()
            await session.refresh(paper)
            loaded = await session.scalar(select(Paper.data).where(Paper.id == paper.id))
            assert loaded is not None
            assert await pg_lo_storage.load(session, loaded.oid) == LARGE
            await session.rollback()  # paper is expired
            paper.data = LargeObjectFile(LARGE[::-1])
            await session.commit()
            assert stored(engine) == sorted([LARGE[::-1], b"other"])
            await session.delete(paper)
            await session.commit()
            assert stored(engine) == [b"other"]
        await asynchronous.dispose()

    asyncio.run(use())
