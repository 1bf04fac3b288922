"""Who measures does not change how the methods are called."""

import pytest
from django.core.files.base import ContentFile
from django.db import transaction
from typing_extensions import Buffer

from pg_lo_storage.catalogue.finding import stream_version
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.measuring import observe
from pg_lo_storage.drivers.base import AccessMode
from pg_lo_storage.storage import db_file_storage

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_is_measured_takes_arguments_by_their_names() -> None:
    seen: list[tuple[str, str, int]] = []
    stop = observe(lambda alias, operation, size, _seconds: seen.append((alias, operation, size)))
    try:
        driver = DatabaseDriver("default")
        oid = driver.from_bytes(data=b"abc")
        driver.put(oid=oid, offset=0, data=b"xy")
        assert driver.get(oid=oid, offset=0, size=3) == b"xyc"
        with transaction.atomic():
            assert driver.open(oid, AccessMode.READ).read(size=3) == b"xyc"
    finally:
        stop()
    assert [size for _, _, size in seen] == [3, 2, 3, 3]


def test_a_version_that_is_gone_is_no_read() -> None:
    seen: list[int] = []
    name = db_file_storage.save("a.txt", ContentFile(b"before"))
    entry = db_file_storage.entry(name)
    with transaction.atomic(), db_file_storage.open(name, "rb+") as file:
        file.write(b"after!")
    blocks: list[Buffer] = []
    stop = observe(lambda _alias, _operation, size, _seconds: seen.append(size))
    try:
        for version, told in ((entry, []), (db_file_storage.entry(name), [6])):
            assert stream_version(DatabaseDriver("default"), version, 0, 10, blocks.append) == bool(told)
            assert seen == told
    finally:
        stop()
    assert b"".join(blocks) == b"after!"
