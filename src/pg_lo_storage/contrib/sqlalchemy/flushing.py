"""What a flush does to the files of mapped rows, by SQLAlchemy's events.

A file is saved before its row is written, for only then is its oid known. What a row leaves is looked at when all rows
of the flush are written, for another of them may have come to name it. Both are statements of the flush's transaction.
What was saved in a transaction, or savepoint, that is rolled back is unsaved again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Connection, event, inspect, select, type_coerce
from sqlalchemy.dialects.postgresql import OID
from sqlalchemy.orm import InstanceState, Mapper, Session, SessionTransaction, object_session
from sqlalchemy.orm.attributes import History

from pg_lo_storage.contrib.sqlalchemy.files import MAPPED, LargeObjectFile, LargeObjectType
from pg_lo_storage.contrib.sqlalchemy.leaving import note_columns, unlink_unnamed
from pg_lo_storage.contrib.sqlalchemy.links import is_autocommit
from pg_lo_storage.drivers.registry import get_driver
from pg_lo_storage.exceptions import LargeObjectNotFound, NoTransactionError
from pg_lo_storage.transfer import save
from pg_lo_storage.transfer.content import Content

__all__ = ["listen"]


@dataclass
class _Pending:
    """What a session has saved and not committed, and what its rows have left in the present flush."""

    saved: list[tuple[SessionTransaction, LargeObjectFile]] = field(
        default_factory=list[tuple[SessionTransaction, LargeObjectFile]]
    )
    left: list[tuple[Connection, "Column[Any]", int]] = field(
        default_factory=list[tuple[Connection, "Column[Any]", int]]
    )


_pending: WeakKeyDictionary[Session, _Pending] = WeakKeyDictionary()


def listen() -> None:
    """Have each class that is mapped with a column of files do as this module says."""
    note_columns()
    event.listen(Mapper, "mapper_configured", _configured)
    event.listen(Session, "after_flush", _after_flush)
    event.listen(Session, "after_soft_rollback", _after_soft_rollback)
    event.listen(Session, "after_commit", _after_commit)
    event.listen(Session, "after_transaction_end", _after_transaction_end)


def _configured(mapper: "Mapper[Any]", class_: type) -> None:
    columns = {
        attribute.key: column
        for attribute in mapper.column_attrs
        for column in attribute.columns
        if isinstance(column, Column) and isinstance(column.type, LargeObjectType)
    }
    if not columns:
        return
    MAPPED[mapper] = columns
    for key in columns:
        event.listen(getattr(class_, key), "set", _set, retval=True)
    event.listen(mapper, "before_insert", _before_insert)
    event.listen(mapper, "before_update", _before_update)
    event.listen(mapper, "before_delete", _before_delete)


def _set(_: object, value: object, *__: object) -> LargeObjectFile | None:
    if value is None or isinstance(value, LargeObjectFile):
        return value
    return LargeObjectFile(cast("Content", value))


def _before_insert(mapper: "Mapper[Any]", connection: Connection, target: object) -> None:
    # One that takes the place of a deleted row with the same key is an UPDATE of that, which is told of by no event.
    session, values = cast("Session", object_session(target)), _state_of(target).dict
    key_of_row = tuple(values.get(mapper.get_property_by_column(column).key) for column in mapper.primary_key)
    deleted = session.identity_map.get(mapper.identity_key_from_primary_key(key_of_row))
    if deleted is not None:
        _leave_all(connection, deleted)
    for key in MAPPED[mapper]:
        _save(connection, target, values.get(key))


def _before_update(mapper: "Mapper[Any]", connection: Connection, target: object) -> None:
    state = _state_of(target)
    for key, column in MAPPED[mapper].items():
        history: History = state.attrs[key].history
        if history.added:
            _leave(mapper, connection, target, column)
            _save(connection, target, history.added[0])


def _before_delete(_: "Mapper[Any]", connection: Connection, target: object) -> None:
    _leave_all(connection, target)


def _leave_all(connection: Connection, target: object) -> None:
    mapper = _state_of(target).mapper
    for column in MAPPED.get(mapper, {}).values():
        _leave(mapper, connection, target, column)


def _save(connection: Connection, target: object, file: LargeObjectFile | None) -> None:
    if file is None:
        return
    session = cast("Session", object_session(target))
    if file.is_saved:
        if not get_driver(connection).exists(file.oid):
            message = f"large object {file.oid} does not exist: no row can name it"
            raise LargeObjectNotFound(message, oid=file.oid)
        return
    _require_transaction(connection)
    file.saved(save(connection, file.to_save()))
    transaction = session.get_nested_transaction() or session.get_transaction()
    _pending_of(session).saved.append((cast("SessionTransaction", transaction), file))


def _leave(mapper: "Mapper[Any]", connection: Connection, target: object, column: "Column[Any]") -> None:
    """Take note of what the row names in the database, where others may have changed it since it was loaded."""
    keys = zip(mapper.primary_key, cast("tuple[Any, ...]", _state_of(target).identity), strict=True)
    row = (
        select(type_coerce(column, OID)).select_from(mapper.persist_selectable).where(*(key == it for key, it in keys))
    )
    oid = connection.scalar(row.with_for_update(of=column.table))
    if oid is not None:
        _require_transaction(connection)
        _pending_of(cast("Session", object_session(target))).left.append((connection, column, oid))


def _require_transaction(connection: Connection) -> None:
    if is_autocommit(connection):
        message = (
            "files of mapped rows are saved and unlinked in the transaction of their rows, and isolation_level"
            ' "AUTOCOMMIT" has none: flush in a session whose engine or connection has another level'
        )
        raise NoTransactionError(message)


def _after_flush(session: Session, _: object) -> None:
    if (pending := _pending.get(session)) is None:
        return
    left, pending.left = pending.left, []
    for connection in dict.fromkeys(connection for connection, _, _ in left):
        unlink_unnamed(connection, [(column, oid) for its, column, oid in left if its is connection])


def _after_soft_rollback(session: Session, over: SessionTransaction) -> None:
    if (pending := _pending.get(session)) is not None:
        pending.left.clear()
        for transaction, file in pending.saved:
            if over in _with_parents(transaction):
                file.saved(None)
        pending.saved = [(transaction, file) for transaction, file in pending.saved if file.is_saved]


def _after_commit(session: Session) -> None:
    # A savepoint's end is told of as well.
    if session.get_nested_transaction() is None:
        _pending.pop(session, None)


def _after_transaction_end(session: Session, over: SessionTransaction) -> None:
    # Whoever closes the session rolls back without a further word.
    if over.parent is None:
        _after_soft_rollback(session, over)


def _with_parents(transaction: SessionTransaction | None) -> Iterator[SessionTransaction]:
    while transaction is not None:
        yield transaction
        transaction = transaction.parent


def _pending_of(session: Session) -> _Pending:
    return _pending.setdefault(session, _Pending())


def _state_of(target: object) -> InstanceState[Any]:
    return cast("InstanceState[Any]", inspect(target))
