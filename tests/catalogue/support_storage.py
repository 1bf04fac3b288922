"""What the tests of the catalogue on storage, files and fields look at."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Final

from django.db import connections

from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.storage.saving import SMALL
from tests.catalogue.support import run
from tests.fixtures.proxy import Wire
from tests.storage.support import loid_of

REPLICA: Final = DbFileStorage(alias="replica")
"""Another session on the same data."""
WIRED: Final = DbFileStorage(alias="wired")
SMALL_SIZES: Final = [0, 1, 1000, SMALL]
TOO_LARGE: Final = [SMALL + 1, 3 * SMALL + 7]


def digest(data: bytes) -> str:
    """Return the sha256 that the catalogue is to have."""
    return hashlib.sha256(data).hexdigest()


def row(name: str, using: str = "default") -> StoredFile:
    """Return the catalogue's row of a stored file."""
    found = StoredFile.objects.using(using).get(loid=loid_of(name))
    assert found.name == name
    return found


def server_time() -> datetime:
    """Return the server's clock, which does not stand still in a transaction."""
    [(moment,)] = run("select clock_timestamp()")
    assert isinstance(moment, datetime)
    return moment


def round_trips(wire: Wire, call: Callable[[], object]) -> int:
    """Count the round trips of a call on ``wired``, whose connection is open already."""
    connections["wired"].ensure_connection()
    with wire.counting() as trips:
        call()
    return trips.count
