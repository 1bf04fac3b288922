"""From SQLSTATEs to the package's exceptions; the codes: https://www.postgresql.org/docs/current/errcodes-appendix.html."""

import re
from collections.abc import Collection

from pg_lo_storage import exceptions as e

__all__ = ["sqlstate_of", "translate"]

_BY_SQLSTATE: dict[str, tuple[type[e.LargeObjectError], str]] = {
    # "Undefined object": every statement looks for the object first, so only a concurrent unlink can cause it.
    "42704": (
        e.LargeObjectConflict,
        "another session unlinked {subject} at the same time; try again",
    ),
    "25006": (e.LargeObjectReadOnly, "{subject} cannot be written: the transaction is read-only"),
    "53200": (
        e.LargeObjectError,
        (
            "the server's lock table has no room for {subject} and all others of this transaction: unlink in batches of"
            " 1,000, each in a transaction of its own (pg_lo_storage.lifecycle.delete_in_batches does so for Django's"
            " rows), or raise max_locks_per_transaction"
        ),
    ),
    "22023": (e.LargeObjectTooLarge, "position out of range for {subject}: between 0 and 4 TiB"),
}
# What a standby says before PostgreSQL 16 (then it is 25006): it gives no transaction id, oid or WAL, and no such lock.
# Both texts are never translated: the one is an internal error, the other is the name of a lock mode.
_ON_A_STANDBY = {"XX000": "during recovery", "55000": "AccessExclusiveLock"}
# "tuple concurrently updated|deleted", and two sessions creating the same page.
_CONFLICTS_OF_A_WRITE = {"XX000": "tuple concurrently", "23505": ""}

_UNLINK_DENIED = (
    "permission denied to unlink large object {oid}: only its owner, a member of the owner's role, or a superuser may;"
    " ALTER LARGE OBJECT {oid} OWNER TO the role, or GRANT the owner's role TO it"
)
_USE_DENIED = (
    "permission denied for large object {oid}: the role must be a member of its owner's, or be granted SELECT on it to"
    " read, SELECT and UPDATE to write: GRANT SELECT, UPDATE ON LARGE OBJECT {oid} TO the role"
)


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of an error of either driver's; ``None`` where it is no error of the server."""
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)


def translate(
    sqlstate: str | None,
    oid: int | None,
    text: str = "",
    *,
    writing: bool = False,
    descriptor: bool = False,
    unlinks: Collection[int] = (),
) -> e.LargeObjectError | None:
    """Return the error that ``sqlstate`` means for a large-object call; ``None`` if the driver's own is to pass.

    XX000 and 23505 are conflicts only if the call was ``writing``, XX000 also only if its text says so. 42704 means the
    ``descriptor`` if the call used one. ``text`` is the driver's message, ``unlinks`` are the oids that the call was to
    unlink.
    """
    if descriptor and sqlstate == "42704":
        message = f"large object {oid} was unlinked, or its savepoint rolled back, behind its open file: open it again"
        return e.StaleLargeObject(message, oid=oid)
    # The server's message, in any language, names the object by its oid.
    named = {int(number) for number in re.findall("[0-9]+", text)}
    if oid is None:
        oid = next((unlinked for unlinked in unlinks if unlinked in named), None)
    if sqlstate == "42501":
        return _denied(oid, text, is_named=oid in named, unlinking=bool(unlinks))
    subject = f"large object {oid}" if oid else "a large object"
    if _is_said(sqlstate, text, _ON_A_STANDBY):
        return e.LargeObjectReadOnly(f"{subject} cannot be written: the server is a standby", oid=oid)
    if writing and _is_said(sqlstate, text, _CONFLICTS_OF_A_WRITE):
        return e.LargeObjectConflict(f"another session wrote {subject} at the same time; try again", oid=oid)
    if sqlstate is None or (found := _BY_SQLSTATE.get(sqlstate)) is None:
        return None
    kind, message = found
    return kind(message.format(subject=subject), oid=oid)


def _is_said(sqlstate: str | None, text: str, texts: dict[str, str]) -> bool:
    return sqlstate in texts and texts[sqlstate] in text


def _denied(oid: int | None, text: str, *, is_named: bool, unlinking: bool) -> e.LargeObjectPermissionDenied:
    if not is_named:
        # Something else that the statement uses is denied: the catalogue's table, a schema, a function.
        said = text.partition("\n")[0] or "permission denied"
        return e.LargeObjectPermissionDenied(said, oid=oid)
    message = _UNLINK_DENIED if unlinking else _USE_DENIED
    return e.LargeObjectPermissionDenied(message.format(oid=oid), oid=oid)
