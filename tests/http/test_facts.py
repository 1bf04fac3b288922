"""Facts, how they are found, and what is answered for them without Django's request."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, LiteralString

import pytest
from django.core.files.base import ContentFile
from django.db import transaction
from django.test import RequestFactory

from example.cluster import Server
from pg_lo_storage.catalogued import Entry
from pg_lo_storage.drivers import get_driver
from pg_lo_storage.drivers.queries import Statement
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound
from pg_lo_storage.http import (
    FileFacts,
    Presentation,
    abody,
    afind,
    afind_catalogued,
    answer,
    body,
    find,
    find_catalogued,
    finding,
)
from pg_lo_storage.http.statements import perform_async
from pg_lo_storage.storage import DbFileIO, db_file_storage
from pg_lo_storage.testing import InMemoryConnection, InMemoryServer
from pg_lo_storage.testing.portal import Portal
from pg_lo_storage.transfer import save
from pg_lo_storage.views import db_serve
from tests.fixtures.connections import Connect
from tests.io.files import numbered_lines
from tests.storage.support import loid_of

LINES = numbered_lines(2_000_000)


@pytest.mark.once
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"size": -1}, "bytes"),
        ({"sha256": "abc"}, "SHA-256"),
        ({"sha256": "é" * 64}, "SHA-256"),
        ({"version": ""}, "entity tag"),
        ({"version": 'a"b'}, "entity tag"),
        ({"version": "a,b"}, "entity tag"),
        ({"version": "a\r\nb"}, "entity tag"),
        ({"modified": datetime(2024, 1, 1)}, "^modified has no time zone$"),  # noqa: DTZ001 -- it lacks one
    ],
)
def test_facts_that_would_make_another_header_are_refused(wrong: dict[str, Any], reason: str) -> None:
    facts: dict[str, Any] = {"oid": 7, "size": 1}
    with pytest.raises(ValueError, match=reason):
        FileFacts(**facts | wrong)


@pytest.mark.once
def test_an_answer_reads_headers_in_any_case_and_names_what_decided() -> None:
    facts = FileFacts(7, 10, "a.txt", sha256="ab" * 32)
    etag = answer("GET", {}, facts).headers["ETag"]
    made = answer("GET", {"IF-NONE-MATCH": etag}, facts, Presentation(headers={"X-Own": "1"}), vary="Authorization")
    assert made.status == 304
    assert made.headers == {"Cache-Control": "private, no-cache", "Vary": "Authorization", "ETag": etag}


@pytest.mark.once
@pytest.mark.parametrize("method", ["POST", "get", "OPTIONS", ""])
def test_an_answer_is_for_get_and_head(method: str) -> None:
    made = answer(method, {}, FileFacts(7, 10))
    assert (made.status, made.headers["Allow"], list(made.pieces)) == (405, "GET, HEAD", [])


@pytest.mark.once
def test_a_version_without_a_digest_is_in_the_tag_with_oid_and_time() -> None:
    tags = {
        answer("GET", {}, facts).headers["ETag"]
        for facts in (
            FileFacts(7, 1, version="a"),
            FileFacts(8, 1, version="a"),
            FileFacts(7, 1, version="b"),
            FileFacts(7, 1, version="a", modified=datetime(2024, 1, 1, tzinfo=UTC)),
            FileFacts(7, 1, version="a", modified=datetime(2024, 1, 1, microsecond=1, tzinfo=UTC)),
        )
    }
    assert len(tags) == 5
    assert "ETag" not in answer("GET", {}, FileFacts(7, 1)).headers


def test_of_any_object_there_is_the_size(connect: Connect) -> None:
    connection = connect(autocommit=True)
    oid = get_driver(connection).from_bytes(b"0123456789")
    assert find(connection, oid, "a.pdf") == FileFacts(oid, 10, "a.pdf")
    get_driver(connection).unlink(oid)
    with pytest.raises(LargeObjectNotFound):
        find(connection, oid)


def test_without_a_name_there_is_none(connect: Connect) -> None:
    connection = connect(autocommit=True)
    oid = get_driver(connection).from_bytes(b"0123456789")
    assert find(connection, oid).name == ""


class Executor:
    """SQL that is no driver's own."""

    def __init__(self, connection: object) -> None:
        self._sql = get_driver(connection).sql

    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        assert self._sql
        return self._sql.execute(query, params)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("catalogue", [True], indirect=True)
def test_any_sql_of_a_driver_finds_a_file(connect: Connect, catalogue: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert catalogue
    name = db_file_storage.save("a.txt", ContentFile(b"0123456789"))
    connection = connect(autocommit=True)
    expected = find_catalogued(connection, name)

    def by_executor(raw: object) -> SimpleNamespace:
        return SimpleNamespace(sql=Executor(raw))

    monkeypatch.setattr(finding, "get_driver", by_executor)
    assert find_catalogued(connection, name) == expected
    assert expected.name == "a.txt"
    with pytest.raises(LargeObjectNotFound, match=r"x\.pdf"):
        find_catalogued(connection, "x.pdf")


def test_a_driver_without_sql_is_named() -> None:
    with pytest.raises(ValueError, match="InMemoryDriver has no SQL"):
        find_catalogued(InMemoryConnection(InMemoryServer()), "12.pdf")


class Site:
    """What finds and reads files of the catalogue, over a connection of its own."""

    def __init__(self, connection: Any, call: Callable[[Any], Any] | None = None) -> None:
        self._connection = connection
        self._call = call

    def find(self, name: str) -> FileFacts:
        if self._call is None:
            return find_catalogued(self._connection, name)
        facts: FileFacts = self._call(afind_catalogued(self._connection, name))
        return facts

    def read(self, facts: FileFacts) -> Iterator[bytes]:
        made = answer("GET", {}, facts)
        if self._call is None:
            return body(self._kept, facts, made)
        blocks: AsyncIterator[bytes] = self._call(abody(self._kept, facts, made))
        return self._following(self._call, blocks)

    def _following(self, call: Callable[[Any], Any], blocks: AsyncIterator[bytes]) -> Iterator[bytes]:
        async def following() -> bytes | None:
            return await anext(blocks, None)

        while (block := call(following())) is not None:
            yield block

    def _kept(self) -> nullcontext[object]:
        return nullcontext(self._connection)


@pytest.fixture(params=["called", *(["awaited"] if find_spec("psycopg") else [])])
def site(request: pytest.FixtureRequest, connect: Connect, server: Server) -> Iterator[Site]:
    if request.param == "called":
        yield Site(connect(autocommit=True))
        return
    import psycopg

    with Portal() as portal:
        connection = portal.call(psycopg.AsyncConnection.connect(server.dsn(), autocommit=True))
        yield Site(connection, portal.call)
        portal.call(connection.close())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("catalogue", [True], indirect=True)
@pytest.mark.usefixtures("catalogue")
class TestCatalogued:
    """A file that a Django project stored is served by another program without Django."""

    @pytest.mark.parametrize("headers", [{}, {"range": "bytes=3-9"}, {"want-repr-digest": "sha-256=1"}])
    def test_it_is_answered_as_by_django(self, site: Site, headers: dict[str, str]) -> None:
        name = db_file_storage.save("ä.txt", ContentFile(LINES))
        facts = site.find(name)
        assert (facts.name, facts.content_type, facts.written_once) == ("ä.txt", "text/plain", True)
        made = answer("GET", headers, facts)
        response = db_serve(RequestFactory().get("/", headers=headers), name)
        assert (made.status, list(made.headers.items())) == (response.status_code, list(response.headers.items()))
        assert b"".join(site.read(facts)) == LINES

    def test_a_file_that_was_saved_without_a_name_has_that_by_which_it_is_asked_for(self, site: Site) -> None:
        with transaction.atomic(), DbFileIO(0, "wb") as file:
            file.write(b"data")
        facts = site.find(f"{file.oid}.pdf")
        assert (facts.oid, facts.name, facts.content_type) == (file.oid, f"{file.oid}.pdf", "application/pdf")

    def test_other_names_and_missing_files_are_not_found(self, site: Site) -> None:
        name = db_file_storage.save("a.txt", ContentFile(b"data"))
        for other in ("", "x", f"{loid_of(name)}.pdf", "1.txt"):
            with pytest.raises(LargeObjectNotFound):
                site.find(other)
        db_file_storage.delete(name)
        with pytest.raises(LargeObjectNotFound):
            site.find(name)

    @pytest.mark.parametrize("change", ["write", "delete"])
    def test_what_is_changed_meanwhile_ends_with_an_error(self, site: Site, change: str) -> None:
        name = db_file_storage.save("a.txt", ContentFile(LINES))
        blocks = site.read(site.find(name))
        assert LINES.startswith(next(blocks))
        if change == "delete":
            db_file_storage.delete(name)
        else:
            with transaction.atomic(), DbFileIO(loid_of(name), "rb+") as file:
                file.write(b"other")
        with pytest.raises(LargeObjectConflict):
            b"".join(blocks)

    def test_a_change_since_it_was_found_is_known_before_anything_is_promised(self, site: Site) -> None:
        name = db_file_storage.save("a.txt", ContentFile(LINES))
        facts = site.find(name)
        with transaction.atomic(), DbFileIO(loid_of(name), "rb+") as file:
            file.write(b"other")
        with pytest.raises(LargeObjectConflict):
            next(site.read(facts))
        again = site.find(name)
        assert (again.sha256, again.written_once) == (None, False)
        assert b"".join(site.read(again)) == b"other" + LINES[5:]


SAVED = datetime(2024, 1, 1, tzinfo=UTC)
LATER = datetime(2024, 1, 2, tzinfo=UTC)
ENTRY = Entry(
    loid=7,
    extension=".pdf",
    original_name="a.txt",
    content_type="text/plain",
    size=10,
    sha256="ab" * 32,
    created_at=SAVED,
    modified_at=SAVED,
    version="5",
)
OF_ENTRY = FileFacts(7, 10, "a.txt", "text/plain", "ab" * 32, "5", SAVED, written_once=True, catalogue="files")


@pytest.mark.once
@pytest.mark.parametrize(
    ("entry", "facts"),
    [
        ({}, {}),
        ({"original_name": "a\n\u202eb.txt"}, {"name": "ab.txt"}),
        ({"original_name": ""}, {"name": "7.pdf"}),
        ({"content_type": ""}, {"content_type": ""}),
        ({"extension": None}, {}),
        ({"extension": None, "content_type": ""}, {"content_type": "application/pdf"}),
        ({"size": None}, {}),
        ({"size": 11}, {"sha256": None, "written_once": False}),
        ({"modified_at": LATER}, {"modified": LATER, "written_once": False}),
    ],
)
def test_an_entry_tells_of_the_content_what_still_holds(entry: dict[str, Any], facts: dict[str, Any]) -> None:
    assert finding.facts_of("7.pdf", 7, 10, replace(ENTRY, **entry), "files") == replace(OF_ENTRY, **facts)


@pytest.mark.once
def test_without_an_entry_there_are_oid_size_and_name() -> None:
    assert finding.facts_of("7.pdf", 7, 10, None) == FileFacts(7, 10, "7.pdf")


@pytest.mark.once
def test_a_plain_object_is_found_awaited(server: Server) -> None:
    async def ask() -> None:
        import psycopg

        async with await psycopg.AsyncConnection.connect(server.dsn()) as connection:
            oid = await save(connection, b"0123456789")
            assert await afind(connection, oid) == FileFacts(oid, 10, "")
            assert await afind(connection, oid, "a") == FileFacts(oid, 10, "a")

    asyncio.run(ask())


@pytest.mark.once
def test_awaited_any_sql_will_do_and_none_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        import psycopg

        from pg_lo_storage.aio import Psycopg3AsyncDriver

        class Executor:
            def __init__(self, driver: Psycopg3AsyncDriver) -> None:
                self.execute = driver.execute

        async with await psycopg.AsyncConnection.connect(server.dsn()) as connection:
            driver = Psycopg3AsyncDriver(connection)
            oid = await driver.from_bytes(b"0123456789")
            for sql in (Executor(driver), None):
                found: Any = SimpleNamespace(sql=sql, in_transaction=True)
                monkeypatch.setattr(finding, "get_async_driver", {connection: found}.get)
                if sql is None:
                    with pytest.raises(ValueError, match="SimpleNamespace has no SQL"):
                        await afind_catalogued(connection, f"{oid}.pdf")
                else:
                    with pytest.raises(LargeObjectNotFound):  # it is in no catalogue
                        await afind_catalogued(connection, f"{oid}.pdf")
                    assert await perform_async(found, Statement("select 1::int4", (), list)) == [(1,)]

    asyncio.run(ask())
