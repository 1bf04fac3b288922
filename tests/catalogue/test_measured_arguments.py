"""Who measures does not change how the methods are called."""

import pytest
from django.db import transaction

from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.measuring import observe
from pg_lo_storage.drivers.base import AccessMode

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
