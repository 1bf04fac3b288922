"""Another role may read the files: those that are there, and on PostgreSQL 18 those that are made later."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from pg_lo_storage.databases.columns import ask
from pg_lo_storage.drivers import get_driver
from pg_lo_storage.exceptions import LargeObjectPermissionDenied
from pg_lo_storage.maintenance import grants
from pg_lo_storage.maintenance.grants import Grant
from pg_lo_storage.storage import db_file_storage
from tests.catalogue.support import saved, uncatalogued
from tests.drivers.support import execute
from tests.fixtures.connections import Connect
from tests.storage.support import loid_of

pytestmark = pytest.mark.django_db(transaction=True)


def grant(*arguments: str) -> int:
    try:
        call_command("largeobjects", "grant", "--to", "stranger", *arguments)
    except SystemExit as end:
        return int(str(end.code))
    return 0


@pytest.fixture
def stranger(connect: Connect) -> Iterator[Any]:
    yield connect(user="stranger", autocommit=True)
    rights = Grant("default", "stranger", revoke=True)
    list(rights.run())
    if rights.has_defaults:
        rights.of_new()


def reads(stranger: Any, name: str) -> bool:
    try:
        return get_driver(stranger).get(loid_of(name), 0, 4) == b"data"
    except LargeObjectPermissionDenied:
        return False


@pytest.mark.parametrize("role", ['Or"der', '"', '"a", "b"', "100 %s", "UPPER case", "it's"])
def test_what_the_role_is_called_does_not_matter(role: str, connect: Connect) -> None:
    quoted = '"' + role.replace('"', '""') + '"'
    superuser = connect(user="postgres", autocommit=True)
    superuser.cursor().execute(f"create role {quoted}")
    try:
        saved("a.txt", b"data")
        rights = Grant("default", role)
        assert (rights.role_exists, rights.count(), list(rights.run()), rights.count()) == (True, 1, [1], 0)
        assert list(Grant("default", role, revoke=True).run()) == [1]
        assert rights.count() == 1
    finally:
        superuser.cursor().execute(f"drop owned by {quoted}")
        superuser.cursor().execute(f"drop role {quoted}")


def test_a_role_may_read_what_was_granted_until_it_is_revoked(
    stranger: Any, catalogue: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "_BATCH", 2)
    names = [saved("a.txt", b"data") for _ in range(5)]
    rights = Grant("default", "stranger")
    assert rights.count() == 5
    assert not any(reads(stranger, name) for name in names)
    assert list(rights.run()) == [2, 2, 1]
    assert all(reads(stranger, name) for name in names)
    if catalogue:
        execute(stranger, "select count(*) from pg_lo_storage_file")
    assert rights.count() == 0
    assert list(Grant("default", "stranger", revoke=True).run()) == [2, 2, 1]
    assert not any(reads(stranger, name) for name in names)


def test_the_command_says_what_it_would_do_and_does_it(stranger: Any, capsys: pytest.CaptureFixture[str]) -> None:
    name = saved("a.txt", b"data")
    assert grant() == 0
    assert "1 file and the catalogue's table would be granted to stranger (with --yes)" in capsys.readouterr().out
    assert not reads(stranger, name)
    assert grant("--yes") == 0
    assert reads(stranger, name)
    capsys.readouterr()
    assert grant("--yes") == 0
    assert " 0 files" in capsys.readouterr().out


def test_what_is_made_later_may_be_read_where_the_server_can(stranger: Any, capsys: pytest.CaptureFixture[str]) -> None:
    is_new_enough = connection.cursor().connection.info.server_version >= 180_000
    assert grant("--new", "--yes") == (0 if is_new_enough else 1)
    if not is_new_enough:
        assert "nothing was done for files that are made later" in capsys.readouterr().err
    assert reads(stranger, saved("a.txt", b"data")) == is_new_enough


def test_what_is_not_catalogued_is_not_granted(stranger: Any) -> None:
    oid = uncatalogued(b"data")
    grant("--yes")
    assert not reads(stranger, str(oid))


def test_files_of_other_roles_are_left_and_counted(connect: Connect, catalogue: bool) -> None:
    name = saved("a.txt", b"data")
    execute(connect(user="postgres", autocommit=True), f"alter large object {loid_of(name)} owner to postgres")
    rights = Grant("default", "stranger")
    assert (rights.count(), list(rights.run()), rights.count_others()) == (0, [], int(catalogue))
    assert Grant("default", "postgres").count_others() == 0


def test_the_command_ends_with_1_where_files_were_left(connect: Connect, capsys: pytest.CaptureFixture[str]) -> None:
    name = saved("a.txt", b"data")
    execute(connect(user="postgres", autocommit=True), f"alter large object {loid_of(name)} owner to postgres")
    assert grant("--yes") == 1
    assert "1 file of roles that this role is no member of" in capsys.readouterr().err


def test_a_role_must_be_there() -> None:
    with pytest.raises(CommandError, match="no role 'nobody'"):
        call_command("largeobjects", "grant", "--to", "nobody")


def test_before_postgresql_18_there_is_no_right_to_what_is_made_later(
    stranger: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Grant, "has_defaults", False)
    assert grant("--new", "--yes") == 1
    assert "nothing was done for files that are made later: before PostgreSQL 18" in capsys.readouterr().err
    assert not reads(stranger, saved("a.txt", b"data"))


@pytest.mark.parametrize("yes", [False, True])
def test_what_is_made_later_is_told_of(yes: bool, stranger: Any, capsys: pytest.CaptureFixture[str]) -> None:
    if Grant("default", "stranger").has_defaults:
        assert grant("--new", *(["--yes"] if yes else [])) == 0
        told = capsys.readouterr().out
        assert f"files made later {'have' if yes else 'would have'} the right by themselves" in told
        assert reads(stranger, saved("a.txt", b"data")) is yes


def test_a_file_that_is_deleted_meanwhile_is_passed_over(stranger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, kept = saved("a.txt", b"data"), saved("b.txt", b"data")
    rights = Grant("default", "stranger")

    def asking(alias: str, query: str, *params: object) -> list[Any]:
        if "= any(" in query:
            db_file_storage.delete(gone)
        return ask(alias, query, *params)

    monkeypatch.setattr(grants, "_BATCH", 1)
    monkeypatch.setattr(grants, "ask", asking)
    assert list(rights.run()) == [0, 1]
    assert reads(stranger, kept)
