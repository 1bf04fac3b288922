"""The large objects of a dump that ``pg_dump`` made, and which of their oids a database has already.

Of an archive ``pg_restore`` writes the statements that make its objects, and no content: since PostgreSQL 17 its list
has groups of them only. A plain dump is read as it is, in constant memory.
"""

import gzip
import re
import shutil
import subprocess
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Final, NamedTuple, cast

from pg_lo_storage.catalogue import as_array
from pg_lo_storage.databases.columns import ask
from pg_lo_storage.maintenance.statistics import is_catalogued

__all__ = ["BATCH", "NoDump", "Taken", "oids_in", "taken"]

BATCH: Final = 1_000
"""So many oids are looked for together."""

_PIECE: Final = 1_048_576

_TAR: Final = slice(257, 262)
_PACKED: Final = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}
_IS_DUMP: Final = re.compile(rb"^-- PostgreSQL database (cluster )?dump", re.MULTILINE)
_ENDS: Final = re.compile(rb"-- PostgreSQL database (cluster )?dump complete")
_LISTED: Final = re.compile(rb"[0-9]+; [0-9]+ [0-9]+ BLOB ")
_MADE: Final = re.compile(rb"SELECT pg_catalog\.lo_create\('([0-9]+)'\);")
_OPENING: Final = re.compile(rb"--|/\*|'|\"|\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")

_TAKEN: Final = (
    "select m.oid::int8, pg_get_userbyid(m.lomowner)::text, {columns} from pg_largeobject_metadata as m{join}"
    " where m.oid = any(%s::text::oid[]) order by m.oid"
)


class NoDump(Exception):
    """A file is no dump of ``pg_dump``, or cannot be read as one, as the message says."""


class Taken(NamedTuple):
    """An oid of a dump that an object has already; without an entry in the catalogue the names are ``None``."""

    oid: int
    role: str
    name: str | None
    original_name: str | None


def oids_in(path: Path, pg_restore: str = "pg_restore") -> Generator[int]:
    """Yield the oids of the large objects in a dump, of any format; ``pg_restore`` is the program, by name or path.

    :raises NoDump: it is no dump, or the program is not found, or cannot read it.
    :raises OSError: it cannot be read.
    """
    if path.is_dir():
        return _of_archive(path, pg_restore)
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(b"PGDMP") or start[_TAR] == b"ustar":
        return _of_archive(path, pg_restore)
    for magic, name in _PACKED.items():
        if start.startswith(magic):
            message = f"{path} is packed by {name}: unpack it first"
            raise NoDump(message)
    return _of_text(path, is_packed=start.startswith(b"\x1f\x8b"))


def taken(alias: str, oids: Iterable[int]) -> list[Taken]:
    """Return those of some oids that are taken on a database."""
    catalogued = is_catalogued(alias)
    query = _TAKEN.format(
        columns="f.loid::text || coalesce(f.extension, ''), f.original_name"
        if catalogued
        else "null::text, null::text",
        join=" left join pg_lo_storage_file as f on f.loid = m.oid" if catalogued else "",
    )
    return [Taken(*row) for row in ask(alias, query, as_array(oids))]


def _of_text(path: Path, *, is_packed: bool) -> Generator[int]:
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        file = cast("IO[bytes]", stack.enter_context(gzip.open(raw)) if is_packed else raw)
        try:
            if not _IS_DUMP.search(file.read(_PIECE)):
                message = f"{path} is no dump that pg_dump made"
                raise NoDump(message)
            file.seek(0)
            is_whole = yield from _made_by(file)
        except EOFError as error:
            message = f"{path} is not whole: {error}"
            raise NoDump(message) from error
        if not is_whole:
            message = f"{path} is not whole: it does not end as pg_dump ends a dump"
            raise NoDump(message)


def _of_archive(path: Path, pg_restore: str) -> Generator[int]:
    program = shutil.which(pg_restore)
    if program is None:
        message = f"{path} is an archive, and {pg_restore} is not found, which reads it: name it with --pg-restore"
        raise NoDump(message)
    with TemporaryDirectory(prefix="pg-lo-restore-") as folder:
        chosen, is_empty = Path(folder, "list"), True
        with chosen.open("wb") as file, _printed(program, "--list", path) as lines:
            for line in filter(_LISTED.match, lines):
                file.write(line)
                is_empty = False
        if not is_empty:
            with _printed(program, "--use-list", chosen, "--file=-", path) as lines:
                yield from _made_by(lines)


@contextmanager
def _printed(program: str, *arguments: object) -> Generator[IO[bytes]]:
    """Give what a program prints.

    :raises NoDump: it has failed; the message is its own.
    """
    with (
        TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603 -- the user's own pg_restore
            [program, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        ) as process,
    ):
        try:
            yield cast("IO[bytes]", process.stdout)
        except BaseException:
            process.kill()
            raise
        if process.wait():
            errors.seek(0)
            raise NoDump(errors.read().decode(errors="replace").strip() or f"{program} ended with {process.returncode}")


def _made_by(file: IO[bytes]) -> Generator[int, None, bool]:
    """Yield the oids of the objects that a dump's statements make, but for what is only text in its rows.

    Return whether its end was read.
    """
    enclosing, is_copy, is_copied, is_start, has_ended = b"", False, False, True, False
    while piece := file.readline(_PIECE):
        if is_copied:
            is_copied = not (is_start and piece.rstrip() == b"\\.")
        else:
            if is_start and not enclosing:
                is_copy, has_ended = piece.startswith(b"COPY "), has_ended or bool(_ENDS.match(piece))
                if made := _MADE.match(piece):
                    yield int(made[1])
            enclosing = _enclosing(piece, enclosing)
            # Names may have lines of their own.
            is_copied = is_copy and not enclosing and piece.endswith(b" FROM stdin;\n")
        is_start = piece.endswith(b"\n")
    return has_ended


def _enclosing(piece: bytes, enclosing: bytes) -> bytes:
    """Return what ends the string, the name or the comment that a piece of SQL ends in; empty where it is in none."""
    at = 0
    while True:
        if enclosing:
            end = piece.find(enclosing, at)
            if end < 0:
                return enclosing
            at = end + len(enclosing)
        opening = _OPENING.search(piece, at)
        if opening is None or opening[0] == b"--":
            return b""
        at, enclosing = opening.end(), b"*/" if opening[0] == b"/*" else opening[0]
