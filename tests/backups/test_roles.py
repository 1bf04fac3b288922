"""Whose the objects are when roles change."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from django.core.files.base import ContentFile
from django.db import connections

from example.cluster import Cluster
from pg_lo_storage.exceptions import LargeObjectPermissionDenied
from pg_lo_storage.storage import DbFileStorage
from tests.backups.conftest import Fresh, connect, execute
from tests.fixtures.connections import RawConnection, run

pytestmark = [pytest.mark.server_tools, pytest.mark.once]

OWNERS = "select pg_get_userbyid(lomowner)::text, count(*) from pg_largeobject_metadata group by 1"


@pytest.fixture
def name(fresh: Fresh) -> Iterator[str]:
    """A database, Django's alias of it, with tables that are of the role ``app``."""
    with fresh("migrated") as name:
        yield name


@pytest.fixture
def superuser(cluster: Cluster, name: str) -> Iterator[RawConnection]:
    with closing(connect(cluster, name)) as connection:
        yield connection


def test_logins_that_assume_a_role_come_and_go(name: str, superuser: RawConnection) -> None:
    storage, connection = DbFileStorage(alias=name), connections[name]
    execute(superuser, "create role march login in role app", "create role april login in role app")
    connection.settings_dict["OPTIONS"]["assume_role"] = "app"
    files = list[str]()
    for login in ("march", "april"):
        connection.close()
        connection.settings_dict["USER"] = login
        files.append(storage.save("a.txt", ContentFile(login.encode())))
    storage.delete(files[0])
    assert run(superuser, OWNERS) == [("app", 1)]
    connection.close()
    execute(superuser, "drop role march", "drop role april")


def test_reassign_owned_moves_all_objects(name: str, superuser: RawConnection) -> None:
    storage, connection = DbFileStorage(alias=name), connections[name]
    execute(superuser, "create role old login in role app", "grant create on schema public to old")
    connection.close()
    connection.settings_dict["USER"] = "old"
    file = storage.save("a.txt", ContentFile(b"content"))
    connection.close()
    connection.settings_dict["USER"] = "app"
    with pytest.raises(LargeObjectPermissionDenied):
        storage.delete(file)
    execute(superuser, "reassign owned by old to app", "drop owned by old", "drop role old")
    assert storage.verify(file)
    storage.delete(file)
    assert run(superuser, OWNERS) == []


def test_drop_owned_unlinks_the_objects(superuser: RawConnection) -> None:
    execute(superuser, "create role gone login", "set role gone")
    run(superuser, "select lo_create(0)")
    execute(superuser, "reset role")
    assert run(superuser, OWNERS) == [("gone", 1)]
    execute(superuser, "drop owned by gone", "drop role gone")
    assert run(superuser, OWNERS) == []
