"""The hierarchy of errors, without a database."""

import copy
import errno
import pickle
from typing import Any

import pytest

from pg_lo_storage import exceptions
from pg_lo_storage.drivers.errors import sqlstate_of, translate
from pg_lo_storage.exceptions import (
    DriverNotFound,
    LargeObjectConflict,
    LargeObjectError,
    LargeObjectExists,
    LargeObjectNotFound,
    LargeObjectPermissionDenied,
    LargeObjectReadOnly,
    LargeObjectTooLarge,
    NoTransactionError,
    StaleLargeObject,
)

# Each with its errno and what else it is.
ERRORS: list[tuple[type[LargeObjectError], int, type[Exception]]] = [
    (LargeObjectError, errno.EIO, OSError),
    (LargeObjectNotFound, errno.ENOENT, FileNotFoundError),
    (LargeObjectExists, errno.EEXIST, FileExistsError),
    (LargeObjectPermissionDenied, errno.EACCES, PermissionError),
    (LargeObjectReadOnly, errno.EROFS, OSError),
    (LargeObjectConflict, errno.EBUSY, OSError),
    (LargeObjectTooLarge, errno.EFBIG, OSError),
    (NoTransactionError, errno.EINVAL, OSError),
    (StaleLargeObject, errno.ESTALE, ValueError),
    (DriverNotFound, errno.ENODEV, LookupError),
]


@pytest.mark.parametrize(("kind", "number", "base"), ERRORS, ids=lambda value: getattr(value, "__name__", ""))
def test_each_error_is_what_python_programs_catch(
    kind: type[LargeObjectError], number: int, base: type[Exception]
) -> None:
    error = kind("a message", oid=12)
    assert isinstance(error, LargeObjectError)
    assert isinstance(error, OSError)
    assert isinstance(error, base)
    assert (error.errno, error.strerror, error.oid) == (number, "a message", 12)
    assert "a message" in str(error)
    assert kind("a message").oid is None


@pytest.mark.parametrize("kind", [kind for kind, _, _ in ERRORS])
@pytest.mark.parametrize("oid", [None, 2**32 - 1])
def test_errors_can_be_pickled_and_copied(kind: type[LargeObjectError], oid: int | None) -> None:
    error = kind("a message", oid=oid)
    protocols = range(pickle.HIGHEST_PROTOCOL + 1)
    for same in (copy.copy(error), *(pickle.loads(pickle.dumps(error, protocol)) for protocol in protocols)):
        assert type(same) is kind
        assert (same.errno, same.strerror, same.oid) == (error.errno, "a message", oid)


def test_every_error_is_in_the_table_and_exported() -> None:
    assert sorted(exceptions.__all__) == sorted(kind.__name__ for kind, _, _ in ERRORS)


CONFLICTS = [
    ("XX000", "tuple concurrently updated"),
    ("XX000", "FEHLER:  tuple concurrently deleted"),
    ("23505", "llave duplicada viola restricción de unicidad «pg_largeobject_loid_pn_index»"),
]


@pytest.mark.parametrize(("sqlstate", "text"), CONFLICTS)
def test_an_internal_or_unique_error_is_a_conflict_only_of_a_write(sqlstate: str, text: str) -> None:
    assert isinstance(translate(sqlstate, 12, text, writing=True), LargeObjectConflict)
    assert translate(sqlstate, 12, text) is None


@pytest.mark.parametrize("text", ["", "cache lookup failed for large object 12", "invalid page in block 3 of relation"])
def test_an_internal_error_that_tells_of_no_other_session_is_left_to_the_driver(text: str) -> None:
    assert translate("XX000", 12, text, writing=True) is None


@pytest.mark.parametrize("sqlstate", [None, "57014", "25P02", "08006", "40001", "42883"])
def test_what_is_not_about_large_objects_is_left_to_the_driver(sqlstate: str | None) -> None:
    assert translate(sqlstate, 12, writing=True) is None


@pytest.mark.parametrize("text", ["must be owner of large object 12", "Propriétaire requis : 12", "12のオーナー"])
def test_of_many_that_are_unlinked_the_error_names_the_one_that_may_not_be(text: str) -> None:
    error = translate("42501", None, text, writing=True, unlinks=[34, 12, 56])
    assert isinstance(error, LargeObjectPermissionDenied)
    assert error.oid == 12
    assert "OWNER TO" in str(error)


# As servers say it before PostgreSQL 16, and since; the second is translated, but for the name of the lock's mode.
ON_A_STANDBY = [
    ("XX000", "cannot assign OIDs during recovery"),
    ("XX000", "FEHLER:  cannot assign TransactionIds during recovery"),
    ("XX000", "cannot make new WAL entries during recovery"),
    ("55000", "cannot acquire lock mode AccessExclusiveLock on database objects while recovery is in progress"),
    ("55000", "Sperrmodus AccessExclusiveLock kann während der Wiederherstellung nicht gesetzt werden"),
    ("55000", "リカバリの実行中はデータベースオブジェクトでロックモード AccessExclusiveLock を獲得できません"),
    ("25006", "cannot execute lo_unlink() in a read-only transaction"),
]


@pytest.mark.parametrize("writing", [False, True])
@pytest.mark.parametrize(("sqlstate", "text"), ON_A_STANDBY)
def test_a_standby_is_read_only_whatever_it_has_for_that(sqlstate: str, text: str, writing: bool) -> None:
    error = translate(sqlstate, 12, text, writing=writing)
    assert isinstance(error, LargeObjectReadOnly)
    assert error.oid == 12


def test_what_else_has_the_sqlstate_of_a_standbys_lock_is_left_to_the_driver() -> None:
    assert translate("55000", 12, "currval of sequence is not yet defined in this session", writing=True) is None


SAID: list[tuple[str, int | None, dict[str, Any], type[LargeObjectError], tuple[int | None, str]]] = [
    (
        "42704",
        12,
        {"descriptor": True},
        StaleLargeObject,
        (12, "large object 12 was unlinked, or its savepoint rolled back, behind its open file: open it again"),
    ),
    (
        "42704",
        12,
        {},
        LargeObjectConflict,
        (12, "another session unlinked large object 12 at the same time; try again"),
    ),
    (
        "XX000",
        12,
        {"text": "tuple concurrently updated", "writing": True},
        LargeObjectConflict,
        (12, "another session wrote large object 12 at the same time; try again"),
    ),
    ("25006", None, {}, LargeObjectReadOnly, (None, "a large object cannot be written: the transaction is read-only")),
    (
        "55000",
        0,
        {"text": "AccessExclusiveLock"},
        LargeObjectReadOnly,
        (0, "a large object cannot be written: the server is a standby"),
    ),
    ("53200", 12, {}, LargeObjectError, (12, "the server's lock table has no room for large object 12 and all others")),
    ("22023", 12, {}, LargeObjectTooLarge, (12, "position out of range for large object 12: between 0 and 4 TiB")),
    (
        "42501",
        12,
        {"text": "permission denied for large object 12"},
        LargeObjectPermissionDenied,
        (12, "permission denied for large object 12: the role must be a member of its owner's"),
    ),
    (
        "42501",
        None,
        {"text": "permission denied for large object 12", "unlinks": [3, 12]},
        LargeObjectPermissionDenied,
        (12, "permission denied to unlink large object 12: only its owner"),
    ),
    (
        "42501",
        12,
        {"text": "permission denied for table pg_lo_storage_file\nLINE 1", "descriptor": True, "unlinks": [12]},
        LargeObjectPermissionDenied,
        (12, "permission denied for table pg_lo_storage_file"),
    ),
    ("42501", 12, {"text": "large object 123"}, LargeObjectPermissionDenied, (12, "large object 123")),
    ("42501", 12, {}, LargeObjectPermissionDenied, (12, "permission denied")),
    ("42501", None, {"text": "none of 9", "unlinks": [3]}, LargeObjectPermissionDenied, (None, "none of 9")),
]


@pytest.mark.parametrize(("sqlstate", "given", "more", "kind", "said"), SAID)
def test_an_error_says_which_object_and_what_to_do(
    sqlstate: str, given: int | None, more: dict[str, Any], kind: type[LargeObjectError], said: tuple[int | None, str]
) -> None:
    error = translate(sqlstate, given, **more)
    assert error is not None
    assert type(error) is kind
    oid, message = said
    text = error.strerror or ""
    assert error.oid == oid
    # Those with advice go on.
    assert text == message or (text.startswith(message) and len(text) > 150)


def test_the_sqlstate_is_found_in_either_drivers_errors() -> None:
    class OfPsycopg(Exception):
        sqlstate = "23505"

    class OfPsycopg2(Exception):
        pgcode = "40001"

    assert (sqlstate_of(OfPsycopg()), sqlstate_of(OfPsycopg2()), sqlstate_of(OSError())) == ("23505", "40001", None)
