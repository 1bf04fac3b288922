"""From SQLSTATEs to the package's exceptions; the codes: https://www.postgresql.org/docs/current/errcodes-appendix.html."""

from pg_lo_storage import exceptions as e

__all__ = ["translate"]

_BY_SQLSTATE: dict[str, tuple[type[e.LargeObjectError], str]] = {
    # Every statement looks for the object first, so that only a concurrent unlink can still say "undefined".
    "42704": (
        e.LargeObjectConflict,
        "another session unlinked {subject} at the same time; try again",
    ),
    "42501": (
        e.LargeObjectPermissionDenied,
        "permission denied for {subject}: the role must own it or be granted SELECT, UPDATE on it",
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
# "tuple concurrently updated|deleted", and two sessions creating the same page.
_CONFLICTS_OF_A_WRITE = {"XX000", "23505"}


def translate(
    sqlstate: str | None, oid: int | None, *, writing: bool = False, descriptor: bool = False
) -> e.LargeObjectError | None:
    """Return the error that ``sqlstate`` means for a large-object call, or ``None`` for the driver's own to pass.

    XX000 and 23505 are conflicts only where the call was ``writing``; "undefined" is the ``descriptor`` where the call
    used one.
    """
    if descriptor and sqlstate == "42704":
        message = f"large object {oid} was unlinked, or its savepoint rolled back, behind its open file: open it again"
        return e.StaleLargeObject(message, oid=oid)
    subject = f"large object {oid}" if oid else "a large object"
    if writing and sqlstate in _CONFLICTS_OF_A_WRITE:
        return e.LargeObjectConflict(f"another session wrote {subject} at the same time; try again", oid=oid)
    if sqlstate is None or (found := _BY_SQLSTATE.get(sqlstate)) is None:
        return None
    kind, message = found
    return kind(message.format(subject=subject), oid=oid)
