"""The hierarchy of errors, without a database."""

import copy
import errno
import pickle

import pytest

from pg_lo_storage import exceptions
from pg_lo_storage.drivers.errors import translate
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


@pytest.mark.parametrize("sqlstate", ["XX000", "23505"])
def test_an_internal_or_unique_error_is_a_conflict_only_of_a_write(sqlstate: str) -> None:
    assert isinstance(translate(sqlstate, 12, writing=True), LargeObjectConflict)
    assert translate(sqlstate, 12) is None


@pytest.mark.parametrize("sqlstate", [None, "57014", "25P02", "08006", "40001", "42883"])
def test_what_is_not_about_large_objects_is_left_to_the_driver(sqlstate: str | None) -> None:
    assert translate(sqlstate, 12, writing=True) is None


@pytest.mark.parametrize("text", ["must be owner of large object 12", "Propriétaire requis : 12", "12のオーナー"])
def test_of_many_that_are_unlinked_the_error_names_the_one_that_may_not_be(text: str) -> None:
    error = translate("42501", None, text, writing=True, unlinks=[34, 12, 56])
    assert isinstance(error, LargeObjectPermissionDenied)
    assert error.oid == 12
    assert "OWNER TO" in str(error)


def test_a_standby_is_read_only_whatever_sqlstate_it_has_for_that() -> None:
    error = translate("XX000", 12, "cannot assign OIDs during recovery", writing=True)
    assert isinstance(error, LargeObjectReadOnly)
    assert error.oid == 12
