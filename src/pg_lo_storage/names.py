"""The names of stored files: ``<oid>.<original extension>``.

:func:`make_name` makes names of a narrow form. :func:`parse_name` also reads those that pg-lo-storage 0.2 stored.
"""

import os
import re
from typing import Final, NamedTuple, cast

__all__ = ["MAX_OID", "make_name", "parse_name"]

MAX_OID: Final = 2**32 - 1
LONGEST_NAME: Final = len(f"{MAX_OID}.tar.") + 20
"""The most characters of a name that is made."""

_LONGEST_ORIGINAL: Final = 1000

# No sign, spaces, underscores, leading zeros or other scripts' digits: one file, one spelling.
# Lone surrogates cannot be sent to PostgreSQL nor put in a URL.
_NAME = re.compile(r"([1-9][0-9]{0,9})((?:\.[^/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]{0,100})?)")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_EXTENSION = re.compile(r"\.((?:tar\.(?=(?:gz|bz2|xz|zst)\Z))?[a-z0-9][a-z0-9_+-]{0,19})\Z", re.ASCII | re.IGNORECASE)


class StoredName(NamedTuple):
    """The parts of a stored name: the object's oid, and the extension with its dot."""

    loid: int
    extension: str


def parse_name(name: object) -> int | None:
    """Return the oid in a stored name, or ``None`` if ``name`` cannot be one.

    ``name`` may be anything, such as a string from a URL or ``None``: no value is an error.
    """
    stored = split_name(name)
    return None if stored is None else stored.loid


def split_name(name: object) -> StoredName | None:
    """Return the parts of a stored name, or ``None`` if ``name`` cannot be one, whatever it is."""
    if not isinstance(name, str) or (match := _NAME.fullmatch(name)) is None:
        return None
    oid = int(match[1])
    return StoredName(oid, match[2]) if oid <= MAX_OID else None


def make_name(loid: int, original: object = None, *, max_length: int | None = None) -> str:
    """Return the name under which object ``loid`` is stored, keeping the extension of ``original``.

    The extension is at most 20 ASCII letters, digits, ``_``, ``+`` or ``-``, with ``tar.`` before ``gz``,
    ``bz2``, ``xz`` and ``zst``. An extension of another kind is left out, and one that makes the name longer than
    ``max_length`` characters. ``original`` is a string or a path; anything else has no extension.

    :raises ValueError: ``loid`` is not between 1 and 4294967295.
    """
    if not 0 < loid <= MAX_OID:
        message = f"an oid is between 1 and {MAX_OID}, not {loid}"
        raise ValueError(message)
    stem = str(loid)
    basename = _basename(original)
    match = _EXTENSION.search(basename)
    # A leading dot marks a hidden file, not an extension.
    if match is None or not match.start():
        return stem
    name = f"{stem}{match[0]}"
    return stem if max_length is not None and len(name) > max_length else name


def is_made(name: str) -> bool:
    """Tell whether :func:`make_name` can make the name; it makes no ``12.v1.2.pdf`` and no ``12.jpg.80x80.jpg``."""
    stored = split_name(name)
    return stored is not None and name == make_name(stored.loid, f"any{stored.extension}")


def original_name_of(original: object) -> str:
    """Return the last part of a name or a path, without characters that PostgreSQL cannot store.

    A longer name is cut to 1,000 characters; a usable extension stays.
    """
    name = _UNSTORABLE.sub("", _basename(original))
    if len(name) <= _LONGEST_ORIGINAL:
        return name
    made = make_name(1, name)
    extension = extension_of(made)
    stem = name[: _LONGEST_ORIGINAL - len(extension)]
    # The cut may leave another extension at the end.
    while make_name(1, stem + extension) != made:
        stem = stem[:-1]
    return stem + extension


def extension_of(name: str) -> str:
    """Return what follows the oid in a stored file's name, with its dot."""
    return name.lstrip("0123456789")


def _basename(original: object) -> str:
    if isinstance(original, os.PathLike):
        original = os.fspath(cast("os.PathLike[str]", original))
    return (original if isinstance(original, str) else "").replace("\\", "/").rpartition("/")[2].strip()
