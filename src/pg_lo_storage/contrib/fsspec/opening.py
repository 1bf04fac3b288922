"""The part of the filesystem that has the connection, opens files and stores them."""

import errno
import io
import os
from typing import BinaryIO, Final, Literal, TypeAlias, cast, overload

from fsspec.core import get_compression
from typing_extensions import override

from pg_lo_storage.contrib.fsspec import listing
from pg_lo_storage.contrib.fsspec.base import FSSPEC_OPTIONS, FileSystem
from pg_lo_storage.contrib.fsspec.connecting import open_session
from pg_lo_storage.contrib.fsspec.dsns import is_secret, without_secrets
from pg_lo_storage.contrib.fsspec.files import PgLoReader, PgLoWriter
from pg_lo_storage.contrib.fsspec.paths import existing, writable
from pg_lo_storage.contrib.fsspec.sessions import Connection, Session
from pg_lo_storage.contrib.fsspec.transaction import PgLoTransaction
from pg_lo_storage.contrib.fsspec.wrappers import PgLoCompressingWriter, PgLoTextWriter, as_text, transcoded
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.io.modes import parse_mode
from pg_lo_storage.names import make_name
from pg_lo_storage.transfer import blocking
from pg_lo_storage.transfer.content import Content, blocks_of
from pg_lo_storage.transfer.files import StrPath

__all__ = ["OpeningFileSystem"]

_Writing: TypeAlias = Literal["wb", "ab", "xb"]
_ReadingText: TypeAlias = Literal["r", "rt"]
_WritingText: TypeAlias = Literal["w", "wt", "a", "at", "x", "xt"]
_Opened: TypeAlias = PgLoReader | PgLoWriter | PgLoCompressingWriter | BinaryIO | io.TextIOWrapper

_TEXT_OPTIONS: Final = ("encoding", "errors", "newline")


class OpeningFileSystem(FileSystem):
    """What :class:`PgLoFileSystem` is built on."""

    protocol: str = "pglo"
    transaction_type: type[PgLoTransaction] = PgLoTransaction
    _intrans: bool
    _transaction: PgLoTransaction | None

    def __init__(
        self,
        dsn: str = "",
        *,
        connection: Connection | None = None,
        alias: str | None = None,
        **options: str | int,
    ) -> None:
        keywords = {name: value for name, value in options.items() if name not in FSSPEC_OPTIONS}
        super().__init__(**{name: value for name, value in options.items() if name in FSSPEC_OPTIONS})
        self.last_created: str | None = None
        self.session: Session = open_session(connection, alias, dsn, keywords)

    def close(self) -> None:
        """Close the connection that the filesystem opened; when it is used again, it opens another."""
        self.session.close()

    @override
    def __reduce__(self) -> tuple[object, ...]:
        if self.storage_options.get("connection") is not None:
            message = "a filesystem over a live connection cannot be pickled: make it with dsn= or alias="
            raise TypeError(message)
        return super().__reduce__()

    @override
    def to_dict(self, *, include_password: bool = True) -> dict[str, object]:
        """Return what ``from_dict`` makes an equal filesystem of, with or without passwords, also the one in ``dsn``.

        :raises ValueError: the ``dsn`` is malformed, so that nobody can tell where its password ends.
        """
        told = super().to_dict(include_password=include_password)
        if include_password:
            return told
        args = cast("list[object]", told["args"])
        kept = {name: value for name, value in told.items() if not is_secret(name)}
        kept["args"] = [without_secrets(str(dsn)) for dsn in args]  # the only one by position
        if "dsn" in kept:
            kept["dsn"] = without_secrets(str(kept["dsn"]))
        return kept

    @classmethod
    @override
    def _strip_protocol(cls, path: object) -> object:
        stripped = super()._strip_protocol(path)
        return stripped.lstrip("/") if isinstance(stripped, str) else stripped

    @property
    @override
    def transaction(self) -> PgLoTransaction:
        """A context in which all is done or nothing: ``with fs.transaction:``."""
        return cast("PgLoTransaction", super().transaction)

    @override
    def start_transaction(self) -> PgLoTransaction:
        """Begin a transaction, which ``end_transaction`` ends.

        :raises RuntimeError: one has begun already.
        """
        transaction = self.transaction
        transaction.start()
        return transaction

    @overload
    def open(
        self, path: StrPath, mode: Literal["rb"] = "rb", *, compression: None = None, **kwargs: object
    ) -> PgLoReader: ...
    @overload
    def open(self, path: StrPath, mode: _Writing, *, compression: None = None, **kwargs: object) -> PgLoWriter: ...
    @overload
    def open(self, path: StrPath, mode: Literal["rb"] = "rb", *, compression: str, **kwargs: object) -> BinaryIO: ...
    @overload
    def open(
        self, path: StrPath, mode: _Writing, *, compression: str | None, **kwargs: object
    ) -> PgLoWriter | PgLoCompressingWriter: ...
    @overload
    def open(
        self, path: StrPath, mode: _ReadingText, *, compression: str | None = None, **kwargs: object
    ) -> io.TextIOWrapper: ...
    @overload
    def open(
        self, path: StrPath, mode: _WritingText, *, compression: str | None = None, **kwargs: object
    ) -> PgLoTextWriter: ...
    @overload
    def open(
        self,
        path: StrPath,
        mode: str = "rb",
        block_size: object = None,
        cache_options: object = None,
        compression: str | None = None,
        **kwargs: object,
    ) -> _Opened: ...
    @override
    def open(
        self,
        path: StrPath,
        mode: str = "rb",
        block_size: object = None,
        cache_options: object = None,
        compression: str | None = None,
        **kwargs: object,
    ) -> _Opened:
        """Open an object: :class:`PgLoReader` or :class:`PgLoWriter`, in a wrapper for text or compression.

        ``block_size`` and ``cache_options``, which other filesystems take, change nothing. Text has the options
        ``encoding``, ``errors`` and ``newline``.
        """
        if "b" not in mode:
            text = {name: cast("str | None", kwargs.pop(name, None)) for name in _TEXT_OPTIONS}
            binary = self.open(path, mode.replace("t", "") + "b", block_size, cache_options, compression, **kwargs)
            return as_text(binary, **text)
        method = get_compression(self._name(path), compression) if compression else None
        file = cast("PgLoReader | PgLoWriter", super().open(path, mode, block_size, cache_options, None, **kwargs))
        return file if method is None else transcoded(file, method)

    @override
    def _open(
        self, path: str, mode: str = "rb", *, autocommit: object = True, **_kwargs: object
    ) -> PgLoReader | PgLoWriter:
        parsed = parse_mode(mode)
        if parsed.updating:
            message = f"pglo:// opens files to read or to write; for mode {mode!r} use pg_lo_storage.open()"
            raise io.UnsupportedOperation(message)
        if parsed.kind == "r":
            return PgLoReader(self.session, path, existing(path))
        kind, oid = parsed.kind, writable(path)
        start = 0
        if oid and kind != "w":
            with self.session.guarded() as driver:
                exists = driver.exists(oid)
                if exists and kind == "x":
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
                start = driver.size(oid) if exists else 0
        # A rollback of this filesystem's transaction undoes what is stored in it.
        at_once = bool(autocommit) or (self._transaction is not None and self._transaction.is_begun)
        return PgLoWriter(
            path, parsed.name, lambda content: self._store(path, content, kind), start=start, autocommit=at_once
        )

    def _store(self, path: str, content: Content, kind: Literal["w", "x", "a"]) -> str:
        """Store the content whole or not at all; return the object's name."""
        if not (oid := writable(path)):
            with self.session.guarded() as driver:
                return self._created(blocking.save(driver, content), path)
        with self.session.unit() as driver:
            if kind == "x" or not driver.exists(oid):
                driver.create(oid)
            else:
                listing.forget(self.session.rows, oid)
            with LargeObjectIO(driver, oid, "ab" if kind == "a" else "wb") as file:
                if kind == "w":
                    file.truncate(0)
                for block in blocks_of(content):
                    file.write(block)
        return path

    def _created(self, oid: int, path: str) -> str:
        self.last_created = make_name(oid, path)
        return self.last_created

    def _name(self, path: StrPath) -> str:
        return cast("str", self._strip_protocol(path))
