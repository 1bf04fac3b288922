"""The filesystem over all that it may be given: connections in autocommit and not, a dsn, an alias of Django's."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from example.cluster import Server
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from tests.fixtures.connections import INSTALLED, Connect, RawConnection, open_connection

ALIAS = pytest.param("alias", marks=pytest.mark.django_db(transaction=True))
GIVEN = [f"{driver}, {kind}" for driver in INSTALLED for kind in ("autocommit", "transaction")]


@pytest.fixture(params=[*GIVEN, "dsn", ALIAS])
def filesystem(request: pytest.FixtureRequest, server: Server) -> Iterator[PgLoFileSystem]:
    """A filesystem over each of these; ``fs`` by another name, for classes that have one of their own."""
    if request.param == "dsn":
        yield request.getfixturevalue("own_fs")
    elif request.param == "alias":
        yield PgLoFileSystem(alias="default")
    else:
        driver, kind = request.param.split(", ")
        with closing(open_connection(driver, server.dsn(), autocommit=kind == "autocommit")) as connection:
            yield PgLoFileSystem(connection=connection)


@pytest.fixture
def fs(filesystem: PgLoFileSystem) -> PgLoFileSystem:
    """A filesystem over each of these."""
    return filesystem


@pytest.fixture
def own_fs(server: Server) -> Iterator[PgLoFileSystem]:
    """A filesystem that connects by itself."""
    fs = PgLoFileSystem(dsn=server.dsn(), skip_instance_cache=True)
    yield fs
    fs.close()


@pytest.fixture
def autocommit(connect: Connect) -> RawConnection:
    """A connection in autocommit."""
    return connect(autocommit=True)


@pytest.fixture
def fs_in_autocommit(autocommit: RawConnection) -> PgLoFileSystem:
    """A filesystem over a connection in autocommit."""
    return PgLoFileSystem(connection=autocommit)


@pytest.fixture
def fs_of_caller(connection: RawConnection) -> PgLoFileSystem:
    """A filesystem over a connection whose transactions are the caller's."""
    return PgLoFileSystem(connection=connection)


@pytest.fixture
def path(fs: PgLoFileSystem) -> str:
    """The name of an object of that filesystem."""
    return fs.pipe_file("new.txt", b"0123456789")


@pytest.fixture
def free_name() -> Callable[[], str]:
    """Give names of objects that do not exist."""
    names = iter(range(4_000_000_000, 4_000_001_000))
    return lambda: f"{next(names)}.txt"


@pytest.fixture
def content(server: Server) -> Iterator[Callable[[str], bytes | None]]:
    """Give what is committed under a name."""
    with closing(open_connection(INSTALLED[0], server.dsn(), autocommit=True)) as connection:
        outside = PgLoFileSystem(connection=connection)
        yield lambda name: outside.cat_file(name) if outside.exists(name) else None


@pytest.fixture
def committed(connect: Connect) -> str:
    """The name of an object that is committed."""
    return PgLoFileSystem(connection=connect(autocommit=True)).pipe_file("new.txt", b"before")
