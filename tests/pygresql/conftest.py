"""A server for the tests of a driver that needs a compiler to be installed; see ``tests/run_all.py``."""

from collections.abc import Iterator

import pytest

from example.cluster import Server, open_server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server, with the database ``app`` of the ordinary role ``app``."""
    with open_server() as server:
        yield server
