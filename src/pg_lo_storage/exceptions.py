"""What can go wrong with a large object, as subclasses of :class:`OSError`.

Every error carries the ``oid`` it is about (or ``None``), an ``errno``, and, where the server or the
driver raised first, that exception as ``__cause__``.
"""

import errno
from typing import ClassVar

__all__ = [
    "DriverNotFound",
    "LargeObjectConflict",
    "LargeObjectError",
    "LargeObjectExists",
    "LargeObjectNotFound",
    "LargeObjectPermissionDenied",
    "LargeObjectReadOnly",
    "LargeObjectTooLarge",
    "NoTransactionError",
    "StaleLargeObject",
]


class LargeObjectError(OSError):
    """Base of all errors of this package."""

    default_errno: ClassVar[int] = errno.EIO

    oid: int | None

    def __init__(self, message: str, *, oid: int | None = None) -> None:
        super().__init__(self.default_errno, message)
        self.oid = oid

    def __reduce__(self) -> tuple[object, ...]:
        # OSError would hand errno and message to __init__; errors cross process pools, so they must unpickle.
        return _rebuild, (type(self), self.strerror, self.oid)


def _rebuild(cls: type[LargeObjectError], message: str, oid: int | None) -> LargeObjectError:
    return cls(message, oid=oid)


class LargeObjectNotFound(LargeObjectError, FileNotFoundError):
    """There is no large object of that oid."""

    default_errno: ClassVar[int] = errno.ENOENT


class LargeObjectExists(LargeObjectError, FileExistsError):
    """The oid asked for is taken."""

    default_errno: ClassVar[int] = errno.EEXIST


class LargeObjectPermissionDenied(LargeObjectError, PermissionError):
    """The role may not use the object.

    ``GRANT SELECT, UPDATE ON LARGE OBJECT`` gives the right to read and write; only the owner, a member of its role, or
    a superuser may unlink.
    """

    default_errno: ClassVar[int] = errno.EACCES


class LargeObjectReadOnly(LargeObjectError):
    """The transaction, or the server, is read-only."""

    default_errno: ClassVar[int] = errno.EROFS


class LargeObjectConflict(LargeObjectError):
    """Another session wrote or unlinked the object at the same moment; the transaction can be tried again."""

    default_errno: ClassVar[int] = errno.EBUSY


class LargeObjectTooLarge(LargeObjectError):
    """A position or size beyond the 4 TiB a large object can hold."""

    default_errno: ClassVar[int] = errno.EFBIG


class NoTransactionError(LargeObjectError):
    """A descriptor was asked for outside a transaction."""

    default_errno: ClassVar[int] = errno.EINVAL


class StaleLargeObject(LargeObjectError, ValueError):
    """The descriptor's transaction, savepoint or connection is over; open the object again."""

    default_errno: ClassVar[int] = errno.ESTALE


class DriverNotFound(LargeObjectError, LookupError):
    """No driver serves that connection; the message lists what was tried and what to install."""

    default_errno: ClassVar[int] = errno.ENODEV
