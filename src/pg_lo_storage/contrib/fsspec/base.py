"""fsspec's classes as the filesystem uses them, with types.

fsspec publishes no types, and type checkers know nothing of a class whose base has no type. So they see these
declarations instead of fsspec's classes.
"""

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self

from fsspec.callbacks import DEFAULT_CALLBACK
from typing_extensions import Buffer

from pg_lo_storage.contrib.fsspec.sessions import Session
from pg_lo_storage.transfer.files import StrPath

__all__ = ["FSSPEC_OPTIONS", "Callback", "Deferred", "FileSystem", "Transaction"]

FSSPEC_OPTIONS: Final = frozenset({"asynchronous", "listings_expiry_time", "loop", "max_paths", "use_listings_cache"})
"""The options of any filesystem, which are not libpq's."""


class Callback(Protocol):
    """Takes the progress of :meth:`PgLoFileSystem.put_file` and others: ``fsspec.callbacks.Callback``."""

    def set_size(self, size: int, /) -> object:
        """Take the number of bytes that there are."""
        ...

    def relative_update(self, inc: int = 1, /) -> object:
        """Take the number of bytes that were moved since the last call."""
        ...


class Deferred(Protocol):
    """A file that is stored, or dropped, at the end of a transaction."""

    @property
    def closed(self) -> bool:
        """Whether the program has closed it."""
        ...

    def commit(self) -> None:
        """Store it."""
        ...

    def discard(self) -> None:
        """Drop it."""
        ...


if TYPE_CHECKING:

    class Transaction:
        """``fsspec.transaction.Transaction``."""

        files: deque[Deferred]

        def __init__(self, fs: "FileSystem") -> None: ...
        def __enter__(self) -> Self: ...
        def __exit__(
            self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
        ) -> None: ...
        def start(self) -> None:
            """Begin."""

        def complete(self, commit: bool = True) -> None:
            """End: store all files, or drop them."""

    class FileSystem:
        """``fsspec.spec.AbstractFileSystem``, less what :class:`PgLoFileSystem` defines itself."""

        session: Session

        storage_args: tuple[object, ...]
        storage_options: dict[str, object]
        _cached: bool

        def __init__(self, *args: object, **storage_options: object) -> None: ...
        def __reduce__(self) -> tuple[object, ...]: ...
        @classmethod
        def _strip_protocol(cls, path: object) -> object: ...
        def unstrip_protocol(self, name: str) -> str:
            """Return the name as a URL."""
            ...

        @classmethod
        def clear_instance_cache(cls) -> None:
            """Forget the instances that calls with the same arguments would return again."""

        def to_dict(self, *, include_password: bool = True) -> dict[str, object]:
            """Return what ``from_dict`` makes an equal filesystem of."""
            ...

        def to_json(self, *, include_password: bool = True) -> str:
            """Return what :meth:`from_json` makes an equal filesystem of."""
            ...

        @staticmethod
        def from_json(blob: str) -> "FileSystem":
            """Return the filesystem that :meth:`to_json` wrote."""
            ...

        @property
        def transaction(self) -> Transaction:
            """A context in which all is done or nothing."""
            ...

        def start_transaction(self) -> Transaction:
            """Begin a transaction."""
            ...

        def end_transaction(self) -> None:
            """Commit it."""

        def mkdir(self, path: StrPath, create_parents: bool = True, **kwargs: object) -> None:
            """Do nothing: there are no folders."""

        def makedirs(self, path: StrPath, exist_ok: bool = False) -> None:
            """Do nothing: there are no folders."""

        def find(
            self, path: StrPath, maxdepth: int | None = None, withdirs: bool = False, **kwargs: object
        ) -> list[str]:
            """List the names of all objects, or the one."""
            ...

        def glob(self, path: str, maxdepth: int | None = None, **kwargs: object) -> list[str]:
            """List the names that match a pattern."""
            ...

        def size(self, path: StrPath) -> int:
            """Return the size in bytes."""
            ...

        def du(self, path: StrPath, total: bool = True) -> int | dict[str, int]:
            """Return the size of all objects, together or (``total=False``) each."""
            ...

        def open(
            self,
            path: StrPath,
            mode: str = "rb",
            block_size: object = None,
            cache_options: object = None,
            compression: str | None = None,
            **kwargs: object,
        ) -> object:
            """Open a file."""
            ...

        def _open(self, path: str, mode: str = "rb", *, autocommit: object = True, **kwargs: object) -> object: ...
        def cat(
            self, path: StrPath | list[str], recursive: bool = False, on_error: str = "raise"
        ) -> bytes | dict[str, bytes]:
            """Return the content of one, or by name those of a list or pattern."""
            ...

        def head(self, path: StrPath, size: int = 1024) -> bytes:
            """Return the first bytes."""
            ...

        def tail(self, path: StrPath, size: int = 1024) -> bytes:
            """Return the last bytes."""
            ...

        def read_bytes(self, path: StrPath, start: int | None = None, end: int | None = None) -> bytes:
            """Return the content, or a slice of it."""
            ...

        def write_bytes(self, path: StrPath, value: Buffer) -> None:
            """Set the content."""

        def read_text(
            self,
            path: StrPath,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
        ) -> str:
            """Return the content as text."""
            ...

        def write_text(
            self,
            path: StrPath,
            value: str,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
        ) -> int:
            """Set the content to text; return the number of characters."""
            ...

        def pipe(self, path: str | dict[str, bytes], value: bytes | None = None) -> None:
            """Set the content of one, or of many."""

        def get(
            self,
            rpath: StrPath | list[str],
            lpath: StrPath | list[str],
            *,
            callback: Callback = DEFAULT_CALLBACK,
            maxdepth: int | None = None,
        ) -> None:
            """Copy objects to local files."""

        def put(
            self,
            lpath: StrPath | list[str],
            rpath: StrPath | list[str],
            *,
            callback: Callback = DEFAULT_CALLBACK,
            maxdepth: int | None = None,
        ) -> None:
            """Copy local files to objects."""

        def copy(self, path1: StrPath | list[str], path2: StrPath | list[str], on_error: str | None = None) -> None:
            """Copy objects."""

        def mv(self, path1: StrPath, path2: StrPath, **kwargs: object) -> None:
            """Copy an object and unlink the original."""

        def rm(self, path: StrPath | list[str], recursive: bool = False, maxdepth: int | None = None) -> None:
            """Unlink objects."""

        def rm_file(self, path: StrPath) -> None:
            """Unlink an object."""

        def touch(self, path: StrPath, truncate: Literal[True] = True) -> None:
            """Make an empty object."""

else:
    from fsspec.spec import AbstractFileSystem
    from fsspec.transaction import Transaction

    from pg_lo_storage.contrib.fsspec.instances import Kept

    class FileSystem(AbstractFileSystem, metaclass=Kept):
        """fsspec's class with a cache of instances of our own."""

        session: Session
        cachable = False

        @classmethod
        def clear_instance_cache(cls) -> None:
            """Forget the instances of this thread."""
            cls.forget_instances()
