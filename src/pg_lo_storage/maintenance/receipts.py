"""Receipts: files of JSON lines, each signed together with all that stand before it.

A batch is noted before it is committed, and once more when its transaction has ended. A process that ends in between
leaves a batch of which the receipt says neither. The server knows how its transaction ended, and the next run asks it.
"""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from django.core.serializers.json import DjangoJSONEncoder
from django.core.signing import BadSignature, Signer

__all__ = ["BadReceipt", "Receipt", "read"]

_SALT: Final = "pg_lo_storage.receipt"
_MARK: Final = ', "signature": "'
_END: Final = '"}'


class BadReceipt(Exception):
    """A file is no receipt of this site's, or not as it was written, or another process writes it."""


class _Line:
    """A line that was read: the record, its signature, and where the next line begins."""

    def __init__(self, record: dict[str, Any], signature: str, end: int) -> None:
        self.record = record
        self.signature = signature
        self.end = end


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a receipt, each once its signature is verified.

    A line without an end, which its process did not finish writing, is passed over, but where the receipt has ended.

    :raises BadReceipt: a line is not as it was written, or one is missing before it.
    :raises OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        yield from (line.record for line in _lines(file, path))


class Receipt:
    """A receipt that is being written; it goes on where there is one that has not ended.

    ``head`` is what the work is, which must be the same as that of the receipt there is. ``is_resumed`` tells whether
    there is one, and ``pending`` is its last batch, where that has no outcome.

    :raises BadReceipt: the file is no receipt, or of other work, or has ended.
    :raises OSError: it cannot be written.
    """

    def __init__(self, path: Path, head: Mapping[str, object]) -> None:
        self.path = path
        self.pending: dict[str, Any] | None = None
        self.batches: int = 0
        self._signature = ""
        self.is_resumed: bool = path.exists()
        self._file: BinaryIO = path.open("r+b") if self.is_resumed else _new(path)
        try:
            self._resume(json.loads(_text(head))) if self.is_resumed else self.write("begin", **head)
        except BaseException:
            self._file.close()
            raise

    def write(self, kind: str, **values: object) -> None:
        """Add a record, and have it on disk.

        :raises BadReceipt: another process has written meanwhile.
        """
        text = _text({"kind": kind, "at": datetime.now(UTC), **values})
        signature = _signer().signature(self._signature + text)
        if self._file.seek(0, os.SEEK_END) != self._file.seek(self._position):
            message = f"{self.path}: another process writes this receipt"
            raise BadReceipt(message)
        self._file.write(f"{text[:-1]}{_MARK}{signature}{_END}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._position = self._file.tell()
        self._signature = signature
        self.batches += kind == "batch"

    def __enter__(self) -> Self:
        """Return the receipt."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    _position = 0

    def _resume(self, head: Mapping[str, object]) -> None:
        last: dict[str, Any] | None = None
        for line in _lines(self._file, self.path):
            if last is None and any(line.record.get(key) != value for key, value in head.items()):
                message = (
                    f"{self.path} is the receipt of other work, begun at {line.record.get('at')}; name another file"
                )
                raise BadReceipt(message)
            last, self._signature, self._position = line.record, line.signature, line.end
            self.batches += last["kind"] == "batch"
        if last is None:
            # The process ended before its first line was on disk.
            self._file.truncate(0)
            self.write("begin", **head)
        elif last["kind"] == "end":
            message = f"{self.path} is the receipt of work that has ended at {last['at']}; name another file"
            raise BadReceipt(message)
        else:
            self._file.truncate(self._position)
            self.pending = last if last["kind"] == "batch" else None


def _lines(file: BinaryIO, path: Path) -> Iterator[_Line]:
    signature, end, kind = "", 0, ""
    for number, line in enumerate(file, 1):
        if not line.endswith(b"\n") and kind != "end":
            return  # its process ended before all of it was on disk
        text, _, given = line.decode(errors="replace").removesuffix(f"{_END}\n").rpartition(_MARK)
        text += "}"
        try:
            _signer().unsign(f"{signature}{text}:{given}")
            record: dict[str, Any] = json.loads(text)
        except (BadSignature, ValueError) as error:
            message = f"{path}, line {number}: it is not as this site wrote it, or one before it is missing"
            raise BadReceipt(message) from error
        signature, end, kind = given, end + len(line), record["kind"]
        yield _Line(record, signature, end)


def _new(path: Path) -> BinaryIO:
    """Make a file that nobody else may read: names of files may say much."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b")
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return file


def _text(values: Mapping[str, object]) -> str:
    return json.dumps(values, cls=DjangoJSONEncoder)


def _signer() -> Signer:
    return Signer(salt=_SALT)
