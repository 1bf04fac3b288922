"""The names of stored files: ``<oid>.<original extension>``.

A name is made once, narrowly (:func:`make_name`), and read back generously enough for what
pg-lo-storage 0.2 stored (:func:`parse_name`).
"""

import os
import re
from typing import Final, cast

__all__ = ["MAX_OID", "make_name", "parse_name"]

MAX_OID: Final = 2**32 - 1
LONGEST_NAME: Final = len(f"{MAX_OID}.tar.") + 20
"""So many characters hold each name that is made."""

_LONGEST_ORIGINAL: Final = 1000

# No sign, spaces, underscores, leading zeros or other scripts' digits: one file, one spelling.
# Lone surrogates cannot be sent to PostgreSQL nor put in a URL.
_NAME = re.compile(r"([1-9][0-9]{0,9})(?:\.[^/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]{0,100})?")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_EXTENSION = re.compile(r"\.((?:tar\.(?=(?:gz|bz2|xz|zst)\Z))?[a-z0-9][a-z0-9_+-]{0,19})\Z", re.ASCII | re.IGNORECASE)


def parse_name(name: object) -> int | None:
    """Return the oid that ``name`` stands for, or ``None`` where it can be no stored file's name.

    Anything may be passed, a string from a URL or ``None``; nothing raises.
    """
    if not isinstance(name, str) or (match := _NAME.fullmatch(name)) is None:
        return None
    oid = int(match[1])
    return oid if oid <= MAX_OID else None


def make_name(loid: int, original: object = None, *, max_length: int | None = None) -> str:
    """Return the name under which object ``loid`` is stored, keeping the extension of ``original``.

    The extension is at most 20 ASCII letters, digits, ``_``, ``+`` or ``-``, with ``tar.`` before ``gz``,
    ``bz2``, ``xz`` and ``zst``. It is left out where there is none, where it is of another kind, and
    where the name would exceed ``max_length`` characters. ``original`` is a string or a path; whatever else a file
    may have for a name (a descriptor's number) has no extension.
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
    """Tell whether :func:`make_name` makes such names, as it does not make ``12.v1.2.pdf`` or ``12.jpg.80x80.jpg``."""
    oid = parse_name(name)
    return oid is not None and name == make_name(oid, f"any{extension_of(name)}")


def original_name_of(original: object) -> str:
    """Return the last part of a name or a path, without what PostgreSQL's text cannot hold.

    Of more than 1,000 characters the first are left, and a usable extension.
    """
    name = _UNSTORABLE.sub("", _basename(original))
    if len(name) <= _LONGEST_ORIGINAL:
        return name
    made = make_name(1, name)
    extension = extension_of(made)
    stem = name[: _LONGEST_ORIGINAL - len(extension)]
    # Where it is cut another extension may come to stand at the end.
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
