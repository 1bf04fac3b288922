"""A server, and SQLAlchemy's engines, where there is no Django; see ``tests/run_all.py``."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from sqlalchemy import URL, Engine, create_engine

from example.cluster import Server, open_server

INSTALLED = [name for name in ("psycopg", "psycopg2") if find_spec(name)]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server, with the database ``app`` of the ordinary role ``app``."""
    with open_server() as server:
        yield server


def url_of(server: Server, driver: str) -> URL:
    """Return the URL of the database ``app``."""
    parameters = server.parameters()
    query: dict[str, str] = {name: parameters[name] for name in ("host", "port") if name in parameters}
    user, database = parameters.get("user", "app"), parameters["dbname"]
    return URL.create(
        f"postgresql+{driver}", username=user, password=parameters.get("password"), database=database, query=query
    )


@pytest.fixture(params=INSTALLED)
def driver_name(request: pytest.FixtureRequest) -> str:
    """``psycopg`` or ``psycopg2``, each that is installed."""
    name: str = request.param
    return name


@pytest.fixture
def engine(server: Server, driver_name: str) -> Iterator[Engine]:
    """An engine of either driver, with a pool of one connection."""
    engine = create_engine(url_of(server, driver_name), pool_size=1, max_overflow=20)
    yield engine
    engine.dispose()
