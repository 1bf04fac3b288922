"""Wrappers that compress or encode into a file that is written, and close it at the end."""

import io
import os
from typing import BinaryIO, SupportsIndex, cast

from fsspec.compression import compr
from typing_extensions import Buffer, override

from pg_lo_storage.contrib.fsspec.files import PgLoReader, PgLoWriter, WholeOrNothing
from pg_lo_storage.io.binary import RawBinaryIO

__all__ = ["PgLoCompressingWriter", "PgLoTextWriter", "as_text", "transcoded"]


class _Over(WholeOrNothing):
    """A wrapper of a :class:`PgLoWriter`, with its path and oid."""

    _file: PgLoWriter

    @property
    def path(self) -> str:
        """The object's name, once it is stored."""
        return self._file.path

    @property
    def oid(self) -> int | None:
        """The object's oid; ``None`` before a new one is stored."""
        return self._file.oid

    @override
    def abandon(self) -> None:
        self._file.abandon()


class PgLoCompressingWriter(_Over, RawBinaryIO):
    """A :class:`PgLoWriter` that compresses; a ``with`` block that fails stores nothing."""

    def __init__(self, compressor: BinaryIO, file: PgLoWriter) -> None:
        self._compressor = compressor
        self._file = file

    @override
    def writable(self) -> bool:
        return self._file.writable()

    @override
    def seekable(self) -> bool:
        return self.writable() and self._compressor.seekable()

    @override
    def seek(self, offset: SupportsIndex, whence: int = os.SEEK_SET, /) -> int:
        return self._compressor.seek(offset.__index__(), whence)

    @override
    def tell(self) -> int:
        return self._compressor.tell()

    @override
    def write(self, data: Buffer, /) -> int:
        return self._compressor.write(data)

    @override
    def close(self) -> None:
        """Close both, which the compressing libraries do not; if compressing fails, nothing is stored."""
        if self.closed:
            return
        super().close()
        try:
            self._compressor.close()
        except BaseException:
            self._file.discard()
            raise
        self._file.close()

    def __del__(self) -> None:
        """Do nothing: the file, which was not closed either, warns of that."""

    def _dealloc_warn(self, source: object) -> None:
        # As TextIOWrapper does.
        self._file._dealloc_warn(source, stacklevel=3)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class PgLoTextWriter(_Over, io.TextIOWrapper):
    """A :class:`PgLoWriter` that encodes; a ``with`` block that fails stores nothing."""

    def __init__(
        self,
        file: PgLoWriter | PgLoCompressingWriter,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> None:
        super().__init__(file, encoding, errors, newline)
        self._file = file if isinstance(file, PgLoWriter) else file._file  # noqa: SLF001 -- of the same kind


def transcoded(file: PgLoReader | PgLoWriter, method: str) -> PgLoCompressingWriter | BinaryIO:
    """Return a wrapper that reads or writes a file by one of fsspec's compressions."""
    try:
        wrapper = compr[method](file, mode=file.mode[0])
    except BaseException:
        if isinstance(file, PgLoWriter):
            file.discard()
        file.close()
        raise
    return PgLoCompressingWriter(wrapper, file) if isinstance(file, PgLoWriter) else wrapper


def as_text(
    file: PgLoReader | PgLoWriter | PgLoCompressingWriter | BinaryIO | io.TextIOWrapper,
    *,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
) -> io.TextIOWrapper:
    """Return a wrapper that decodes or encodes for a binary file."""
    if not isinstance(file, PgLoWriter | PgLoCompressingWriter):
        return io.TextIOWrapper(cast("BinaryIO", file), encoding, errors, newline)
    try:
        return PgLoTextWriter(file, encoding, errors, newline)
    except BaseException:
        file.abandon()
        file.close()
        raise
