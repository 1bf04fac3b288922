"""Byte ranges, of RFC 9110, section 14: which were asked for, and how several are sent."""

import re
import secrets
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final, TypeAlias

__all__ = ["MAX_RANGES", "Piece", "coalesce", "content_range", "multipart", "parse_ranges"]

MAX_RANGES: Final = 64
"""A request for more ranges gets the whole file: each range costs a statement and a header."""

Piece: TypeAlias = bytes | range
"""A part of a body: bytes, or the positions of the file's bytes."""

_SPEC: Final = re.compile(r"([0-9]*)-([0-9]*)", re.ASCII)
# Longer numbers are past the end of any object; int() refuses very long ones.
_DIGITS: Final = 19


def parse_ranges(header: str, size: int, limit: int = MAX_RANGES) -> list[range] | None:
    """Return the ranges that a ``Range`` header asks for, in its order; ``[]`` where none is within ``size`` bytes.

    ``None`` where the header is to be ignored: it has another unit, is malformed, or has more than ``limit`` ranges.
    """
    unit, _, listed = header.strip(" \t").partition("=")
    specs = [spec for element in listed.split(",") if (spec := element.strip(" \t"))]
    if unit.lower() != "bytes" or not 0 < len(specs) <= limit:
        return None
    found: list[range] = []
    for spec in specs:
        if (wanted := _parse_spec(spec, size)) is None:
            return None
        if wanted:
            found.append(wanted)
    return found


def _parse_spec(spec: str, size: int) -> range | None:
    if (match := _SPEC.fullmatch(spec)) is None or spec == "-":
        return None
    first, last = match.groups()
    if not first:
        return range(max(size - _number(last), 0), size)
    if last and _is_less(last, first):
        return None
    return range(_number(first), min(_number(last) + 1, size) if last else size)


def _is_less(number: str, other: str) -> bool:
    number, other = number.lstrip("0"), other.lstrip("0")
    return (len(number), number) < (len(other), other)


def _number(digits: str) -> int:
    return int(digits.lstrip("0")[:_DIGITS] or "0")


def coalesce(ranges: Iterable[range]) -> list[range]:
    """Join ranges that overlap or touch; each stands where the first of its parts stood."""
    joined: list[tuple[int, range]] = []
    for place, wanted in sorted(enumerate(ranges), key=lambda placed: placed[1].start):
        if joined and wanted.start <= joined[-1][1].stop:
            first_place, last = joined[-1]
            joined[-1] = min(first_place, place), range(last.start, max(last.stop, wanted.stop))
        else:
            joined.append((place, wanted))
    return [wanted for _, wanted in sorted(joined, key=itemgetter(0))]


def content_range(wanted: range, size: int) -> str:
    """Return the value of ``Content-Range``."""
    return f"bytes {wanted.start}-{wanted.stop - 1}/{size}"


def multipart(ranges: Sequence[range], size: int, content_type: str) -> tuple[str, list[Piece]]:
    """Return the content type ``multipart/byteranges`` with its boundary, and the body."""
    # Random, so that no file contains it.
    boundary = secrets.token_hex(16)
    pieces: list[Piece] = []
    before = ""
    for wanted in ranges:
        head = f"Content-Type: {content_type}\r\nContent-Range: {content_range(wanted, size)}\r\n\r\n"
        pieces += [f"{before}--{boundary}\r\n{head}".encode(), wanted]
        before = "\r\n"
    pieces.append(f"\r\n--{boundary}--\r\n".encode())
    return f"multipart/byteranges; boundary={boundary}", pieces
