"""Saves have the server compress by lz4 where it can; what else the transaction does is compressed as before."""

from collections.abc import Iterator

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile, File
from django.db import connections, transaction
from django.test import override_settings

from example.cluster import Server
from pg_lo_storage.storage import db_file_storage
from tests.fixtures.connections import Connect
from tests.storage.support import LARGE, loid_of, stored

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = [10, 100_000, LARGE]
COMPRESSIBLE = b"All the same, all the same. "


def method() -> str:
    with connections["default"].cursor() as cursor:
        cursor.execute("show default_toast_compression")
        (found,) = cursor.fetchone()
    return str(found)


def text(size: int) -> bytes:
    return (COMPRESSIBLE * (size // len(COMPRESSIBLE) + 1))[:size]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("atomic", [True, False])
def test_the_setting_is_put_back(size: int, *, atomic: bool) -> None:
    before = method()
    if atomic:
        with transaction.atomic():
            name = db_file_storage.save("a.txt", ContentFile(text(size)))
            assert method() == before
    else:
        name = db_file_storage.save("a.txt", ContentFile(text(size)))
    assert method() == before
    assert stored(name) == text(size)


@pytest.mark.parametrize("chosen", ["pglz"])
def test_a_transactions_own_choice_is_put_back(chosen: str) -> None:
    with transaction.atomic():
        with connections["default"].cursor() as cursor:
            cursor.execute(f"set local default_toast_compression = {chosen}")
        for size in SIZES:
            db_file_storage.save("a.txt", ContentFile(text(size)))
            assert method() == chosen


class Failing(File):  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument]  # generic in the stubs only
    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:  # noqa: ARG002 -- Django's signature
        yield text(LARGE)
        raise OSError("the upload broke off")


@pytest.mark.parametrize("size", SIZES)
def test_a_savepoint_that_is_rolled_back_puts_it_back_too(size: int) -> None:
    before = method()
    with transaction.atomic():
        with pytest.raises(ValueError, match="rolled back"), transaction.atomic():  # noqa: PT012 -- within
            db_file_storage.save("a.txt", ContentFile(text(size)))
            raise ValueError("rolled back")
        assert method() == before
        db_file_storage.save("a.txt", ContentFile(text(size)))
        assert method() == before


def test_a_save_that_fails_puts_it_back_too() -> None:
    before = method()
    with transaction.atomic():
        with pytest.raises(OSError, match="broke off"):
            db_file_storage.save("a.txt", Failing(None, "a.txt"))
        assert method() == before


@pytest.mark.parametrize("size", SIZES)
@override_settings(PG_LO_STORAGE_TOAST_COMPRESSION=None)
def test_it_can_be_turned_off(size: int) -> None:
    assert stored(db_file_storage.save("a.txt", ContentFile(text(size)))) == text(size)


@override_settings(PG_LO_STORAGE_TOAST_COMPRESSION="zstd")
def test_another_method_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="PG_LO_STORAGE_TOAST_COMPRESSION is 'zstd': set it to 'lz4'"):
        db_file_storage.save("a.txt", ContentFile(text(LARGE)))


@pytest.mark.server_tools
@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("setting", ["lz4", None])
def test_the_pages_of_a_file_are_lz4_and_the_callers_rows_are_not(
    setting: str | None, size: int, server: Server, connect: Connect
) -> None:
    with (
        override_settings(PG_LO_STORAGE_TOAST_COMPRESSION=setting),
        transaction.atomic(),
        connections["default"].cursor() as cursor,
    ):
        cursor.execute("create temporary table own (value text) on commit drop")
        name = db_file_storage.save("a.txt", ContentFile(text(size)))
        cursor.execute("insert into own values (repeat('the same ', 10000))")
        cursor.execute("select pg_column_compression(value) from own")
        assert cursor.fetchone() == ("pglz",)
    pages = connect(dsn=server.dsn(user="postgres")).cursor()
    pages.execute(
        "select distinct pg_column_compression(data) from pg_largeobject where loid = %s and length(data) = 2048",
        [loid_of(name)],
    )
    assert pages.fetchall() == [(setting or "pglz",)]
