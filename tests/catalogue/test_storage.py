"""``storage.save`` writes a file and its entry together; the storage's other methods ask the catalogue."""

from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import IO, Any, cast
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.test import override_settings
from django.utils import timezone

from pg_lo_storage import catalogue
from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import DbFileIO, db_file_storage, lookup
from pg_lo_storage.storage.saving import SMALL
from tests.catalogue.support import entries, run, saved, uncatalogued
from tests.catalogue.support_storage import SMALL_SIZES, TOO_LARGE, WIRED, digest, round_trips, row, server_time
from tests.fixtures.proxy import Wire
from tests.invoices.models import Note
from tests.storage.support import LARGE, content, loid_of, rolled_back

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "wired"])

Count = Callable[[], int]


# What save enters.


@pytest.mark.parametrize("size", [*SMALL_SIZES, *TOO_LARGE])
@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_saved_file_has_an_entry_that_says_all_of_it(size: int, in_transaction: bool) -> None:
    data, before = content(size), server_time()
    if in_transaction:
        with transaction.atomic():
            name = saved("Rechnung.pdf", data)
            assert row(name).size == size
    else:
        name = saved("Rechnung.pdf", data)
    entry = row(name)
    assert (entry.loid, entry.extension) == (loid_of(name), ".pdf")
    assert (entry.original_name, entry.content_type) == ("Rechnung.pdf", "application/pdf")
    assert (entry.size, entry.sha256) == (size, digest(data))
    assert before < entry.created_at == entry.modified_at < server_time()


@pytest.fixture
def trigger() -> Iterator[Callable[[str], None]]:
    """Run a block of PL/pgSQL before each entry."""

    def make(block: str) -> None:
        run(f"create function before_entry() returns trigger language plpgsql as $$ begin {block} end $$")
        run("create trigger t before insert on pg_lo_storage_file for each row execute function before_entry()")

    yield make
    run("drop function before_entry cascade")


@pytest.mark.parametrize("size", [10, 100_000, LARGE])
def test_the_setting_of_compression_is_the_callers_where_a_project_s_trigger_runs(
    size: int, trigger: Callable[[str], None]
) -> None:
    # On a server without lz4 it is never changed; on one with it, by what is saved only.
    run("create table audit (method text)")
    try:
        trigger("insert into audit values (current_setting('default_toast_compression')); return new;")
        with transaction.atomic():
            run("set local default_toast_compression = pglz")
            saved("a.pdf", content(size))
        assert run("select method from audit") == [("pglz",)]
    finally:
        run("drop table audit")


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_file_has_the_extension_that_a_project_s_trigger_gave_it(size: int, trigger: Callable[[str], None]) -> None:
    trigger("new.extension = lower(new.extension); return new;")
    name = saved("UP.PDF", content(size))
    assert name.endswith(".pdf")
    assert db_file_storage.exists(name)


@pytest.mark.parametrize("size", SMALL_SIZES)
@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_small_file_and_its_entry_take_one_statement(size: int, in_transaction: bool, wire: Wire) -> None:
    file = ContentFile(content(size))
    names: list[str] = []
    with transaction.atomic(using="wired") if in_transaction else nullcontext():
        assert not WIRED.exists("12")  # begins the transaction, where there is one
        assert round_trips(wire, lambda: names.append(WIRED.save("a.pdf", file, max_length=100))) == 1
    assert row(names[0]).size == size


def test_the_entry_of_a_large_file_takes_one_statement_more(wire: Wire) -> None:
    def save() -> None:
        WIRED.save("a.pdf", ContentFile(content(LARGE)))

    save()  # what a connection asks once, it has asked
    with override_settings(INSTALLED_APPS=[app for app in settings.INSTALLED_APPS if app != "pg_lo_storage"]):
        without = round_trips(wire, save)
    assert round_trips(wire, save) == without + 1


class ReadOnce:
    """Content that can neither be rewound nor read again; an exception among the chunks is raised."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self._chunks = iter(chunks)

    def chunks(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk


@pytest.mark.parametrize("parts", [[b"a", b"b"], [content(SMALL), b"a"], [content(1), content(LARGE), content(SMALL)]])
def test_the_digest_is_taken_while_the_content_is_read(parts: list[bytes]) -> None:
    entry = row(db_file_storage.save("a.bin", cast("IO[bytes]", ReadOnce(*parts))))
    assert (entry.size, entry.sha256) == (len(b"".join(parts)), digest(b"".join(parts)))


def test_text_is_measured_as_it_is_stored() -> None:
    entry = row(db_file_storage.save("a.txt", cast("IO[bytes]", ContentFile("ä日"))))
    assert (entry.size, entry.sha256) == (5, digest("ä日".encode()))


# All or nothing.


@pytest.mark.parametrize("size", [10, LARGE])
def test_what_is_rolled_back_has_no_entry(size: int, count_large_objects: Count) -> None:
    with transaction.atomic():
        with rolled_back():
            saved(data=content(size))
        kept = saved(data=content(size))
        with rolled_back():
            db_file_storage.delete(kept)
            assert not entries()
    assert list(entries()) == [loid_of(kept)]
    assert count_large_objects() == 1


@pytest.mark.parametrize(
    "parts", [[OSError("broken")], [content(SMALL), OSError("broken")], [content(LARGE), OSError()]]
)
def test_a_source_that_fails_leaves_no_entry(parts: list[bytes | Exception], count_large_objects: Count) -> None:
    with transaction.atomic():
        Note.objects.create(text="kept")
        with pytest.raises(OSError):  # noqa: PT011 -- the source's own, whatever it says
            db_file_storage.save("a.pdf", cast("IO[bytes]", ReadOnce(*parts)))
    assert Note.objects.count() == 1
    assert not entries()
    assert count_large_objects() == 0


@pytest.fixture
def _refusing() -> Generator[None]:
    """A catalogue that takes no files of a certain name."""
    run("alter table pg_lo_storage_file add constraint refusing check (original_name <> 'refused.pdf')")
    yield
    run("alter table pg_lo_storage_file drop constraint refusing")


@pytest.mark.usefixtures("_refusing")
@pytest.mark.parametrize("size", [10, LARGE])
def test_an_entry_that_cannot_be_made_leaves_no_object(size: int, count_large_objects: Count) -> None:
    with pytest.raises(IntegrityError, match="refusing"):
        saved("refused.pdf", content(size))
    assert count_large_objects() == 0
    with transaction.atomic():
        Note.objects.create(text="kept")
        with pytest.raises(IntegrityError), transaction.atomic():
            saved("refused.pdf", content(size))
    assert Note.objects.count() == 1
    assert count_large_objects() == 0


# Rows of objects that are no more.


@pytest.mark.parametrize("size", [10, LARGE])
def test_the_row_of_an_oid_that_is_given_out_again_is_replaced(size: int) -> None:
    last = loid_of(saved())
    long_ago = server_time() - timedelta(days=1)
    # The server counts up: the next object is one of these.
    StoredFile.objects.bulk_create(
        StoredFile(
            loid=loid, extension=".txt", original_name="stale.txt", content_type="text/plain", size=1, sha256="stale",
            created_at=long_ago, modified_at=long_ago,
        )
        for loid in range(last + 1, last + 1000)
    )  # fmt: skip
    data = content(size)
    name = saved("new.pdf", data)
    assert last < loid_of(name) < last + 1000
    entry = row(name)
    assert (entry.extension, entry.original_name, entry.content_type) == (".pdf", "new.pdf", "application/pdf")
    assert (entry.size, entry.sha256) == (size, digest(data))
    assert entry.created_at == entry.modified_at > long_ago
    assert not db_file_storage.exists(f"{loid_of(name)}.txt")
    assert not db_file_storage.exists(f"{last + 999}.txt")


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_file_whose_object_was_unlinked_behind_the_catalogue_is_missing(in_transaction: bool) -> None:
    gone, kept = saved(), saved()
    run("select lo_unlink(%s)", loid_of(gone))
    with transaction.atomic() if in_transaction else nullcontext():
        assert not db_file_storage.exists(gone)
        for ask in (
            db_file_storage.open,
            db_file_storage.size,
            db_file_storage.entry,
            db_file_storage.verify,
            db_file_storage.get_created_time,
            db_file_storage.get_modified_time,
        ):
            with pytest.raises(FileNotFoundError):
                ask(gone)
        assert list(db_file_storage.entries([gone, kept])) == [kept]
        assert db_file_storage.listdir("") == ([], [kept])
        db_file_storage.delete(gone)
        Note.objects.create(text="aborted nothing")
    assert Note.objects.exists()
    assert db_file_storage.exists(kept)


# The length of a name.


@pytest.mark.parametrize("max_length", [*range(10, 20), None])
def test_the_entry_keeps_the_extension_that_the_name_could_keep(max_length: int | None) -> None:
    name = db_file_storage.save("a.tar.gz", ContentFile(b"data"), max_length=max_length)
    loid, fits = loid_of(name), max_length is None or len(f"{loid_of(name)}.tar.gz") <= max_length
    extension = ".tar.gz" if fits else ""
    assert name == f"{loid}{extension}"
    assert row(name).extension == extension
    assert row(name).original_name == "a.tar.gz"
    assert row(name).content_type == "application/gzip"
    assert db_file_storage.exists(name)
    assert db_file_storage.exists(f"{loid}.tar.gz") is fits


# What the storage tells.


def test_listdir_names_all_files_in_one_folder() -> None:
    assert db_file_storage.listdir("") == ([], [])
    names = [saved(name) for name in ("b.tar.gz", "a.pdf", "c")]
    with transaction.atomic(), DbFileIO(0, "wb") as file:
        names.append(file.name)
    uncatalogued()
    for root in ("", "/", ".", "./"):
        assert db_file_storage.listdir(root) == ([], sorted(names, key=loid_of))
    for path in ("folder", "folder/", "..x", names[0]):
        with pytest.raises(FileNotFoundError, match="no folder"):
            db_file_storage.listdir(path)


@pytest.mark.parametrize("page", [1, 2, 1_000])
def test_names_are_yielded_in_the_order_of_their_numbers(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_PAGE", page)
    assert list(db_file_storage.names()) == []
    expected = sorted((saved(name) for name in ("b.tar.gz", "a.pdf", "c")), key=loid_of)
    uncatalogued()
    assert list(db_file_storage.names()) == expected
    assert list(db_file_storage.names(after=expected[0])) == expected[1:]
    assert list(db_file_storage.names(after=expected[2])) == []
    db_file_storage.delete(expected[1])
    assert list(db_file_storage.names(after=expected[1])) == expected[2:]
    with pytest.raises(ValueError, match="no name of a stored file"):
        db_file_storage.names(after="a/b")


def test_names_are_asked_for_page_by_page_and_what_happens_meanwhile_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_PAGE", 2)
    first, second, third = sorted((saved("a") for _ in range(3)), key=loid_of)
    names = db_file_storage.names()
    assert next(names) == first
    db_file_storage.delete(third)
    assert list(names) == [second]


def times(name: str) -> tuple[datetime, datetime]:
    return db_file_storage.get_created_time(name), db_file_storage.get_modified_time(name)


def test_times_are_aware_where_the_project_uses_time_zones() -> None:
    name = saved()
    entry = row(name)
    assert times(name) == (entry.created_at, entry.modified_at)
    assert all(timezone.is_aware(moment) for moment in times(name))
    with transaction.atomic(), db_file_storage.open(name, "ab") as file:
        file.write(b"more")
    created, modified = times(name)
    assert created == entry.created_at < modified == row(name).modified_at


def test_times_are_naive_in_the_projects_zone_where_it_does_not() -> None:
    name = saved()
    created = row(name).created_at
    kathmandu = ZoneInfo("Asia/Kathmandu")
    with override_settings(USE_TZ=False, TIME_ZONE="Asia/Kathmandu"), timezone.override("America/New_York"):
        found = times(name)
    assert found == (created.astimezone(kathmandu).replace(tzinfo=None),) * 2


def test_times_are_those_of_the_clock_and_not_of_the_transaction() -> None:
    with transaction.atomic():
        run("select now()")
        first, between, second = saved(), server_time(), saved(data=content(LARGE))
    assert row(first).created_at < between < row(second).created_at


@pytest.mark.parametrize("name", ["4294967295.pdf", "x", "", "../1"])
def test_of_a_missing_file_nothing_is_told(name: str) -> None:
    for ask in (
        db_file_storage.entry,
        db_file_storage.verify,
        db_file_storage.get_created_time,
        db_file_storage.get_modified_time,
    ):
        with pytest.raises(FileNotFoundError):
            ask(name)


def test_a_file_that_is_changed_while_it_is_verified_is_judged_by_what_it_is_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = saved("a.pdf", content(LARGE))
    read, changes = catalogue.stream_version, [b"changed"]

    def changing(*arguments: Any) -> bool:
        if changes:
            with transaction.atomic(), DbFileIO(loid_of(name), "rb+") as file:
                file.write(changes.pop())
        return read(*arguments)

    monkeypatch.setattr(catalogue, "stream_version", changing)
    assert db_file_storage.verify(name) is None  # a file that was written to has no digest
    assert not changes
    assert db_file_storage.is_valid_name(name)
    assert not db_file_storage.is_valid_name("a.pdf")
