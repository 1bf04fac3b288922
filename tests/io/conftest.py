"""The places that a file can be opened in."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest

from example.cluster import Server
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.drivers import get_driver
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.names import MAX_OID
from pg_lo_storage.storage import DbFileIO
from tests.fixtures.connections import INSTALLED, open_connection
from tests.io.files import Files


@pytest.fixture(params=[*INSTALLED, "django"])
def files(request: pytest.FixtureRequest, server: Server) -> Iterator[Files]:
    """A place for files: in a transaction of a plain connection of each driver, and in one of Django's."""
    if request.param == "django":
        request.getfixturevalue("db")
        yield from still_usable(Files(DatabaseDriver("default"), DbFileIO))
    else:
        with closing(open_connection(request.param, server.dsn())) as connection:
            driver = get_driver(connection)
            yield from still_usable(Files(driver, partial(LargeObjectIO, driver)))


def still_usable(files: Files) -> Iterator[Files]:
    """Give it to a test; whatever the test provokes, the transaction goes on."""
    yield files
    assert not files.driver.exists(MAX_OID)
