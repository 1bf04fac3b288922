"""What names and headers mean, read character by character from the contract and the RFCs: no expression is shared."""

import unicodedata
from decimal import Decimal
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from tests.serving.reference import Tags

__all__ = [
    "Disposition",
    "extension",
    "is_passive",
    "is_run",
    "printable",
    "read_disposition",
    "read_name",
    "read_ranges",
    "read_tags",
]

DIGITS: Final = frozenset("0123456789")
ALPHA: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
ATTR: Final = ALPHA | DIGITS | frozenset("!#$&+-.^_`|~")  # RFC 8187, 3.2.1
PASSIVE: Final = frozenset(f"image/{kind}" for kind in ("apng", "avif", "bmp", "gif", "jpeg", "png", "webp")) | {
    "text/plain",
    "application/pdf",
}


def read_name(name: str) -> int | None:
    """Return the oid that a stored file's name stands for."""
    number, dot, rest = name.partition(".")
    if not number or not set(number) <= DIGITS or number[0] == "0" or len(number) > 10 or int(number) >= 2**32:
        return None
    forbidden = any(one in "/\\" or unicodedata.category(one) in {"Cc", "Cs"} for one in rest)
    return None if forbidden or len(rest) > 100 or (rest and not dot) else int(number)


def extension(original: str) -> str:
    """Return what a made name keeps of the original one."""
    base = original.replace("\\", "/").split("/")[-1].strip()
    stem, _, last = base.rpartition(".")
    usable = 0 < len(last) <= 20 and set(last) <= ALPHA | DIGITS | set("_+-") and last[0] not in "_+-"
    if not stem or not usable:
        return ""
    if last.lower() in {"gz", "bz2", "xz", "zst"} and stem.lower().endswith(".tar"):
        return f".{base[len(stem) - 3 :]}" if len(stem) > 4 else ""
    return f".{last}"


def read_ranges(header: str, size: int, limit: int) -> list[range] | None:
    """Follow RFC 9110, 14.1.2: the ranges that can be satisfied; ``None`` where the header is ignored."""
    unit, equals, listed = header.strip(" \t").partition("=")
    specs = [spec.strip(" \t") for spec in listed.split(",") if spec.strip(" \t")]
    if not equals or unit.lower() != "bytes" or not specs or len(specs) > limit:
        return None
    found: list[range] = []
    for spec in specs:
        first, dash, last = spec.partition("-")
        if not dash or not (first or last) or not set(first) <= DIGITS or not set(last) <= DIGITS:
            return None
        if not first:
            start, stop = max(0, size - _number(last)), size
        else:
            start, stop = _number(first), size if not last else min(size, _number(last) + 1)
            if last and _number(last) < _number(first):
                return None
        if start < stop:
            found.append(range(start, stop))
    return found


def _number(digits: str) -> int:
    return int(Decimal(digits))  # int() itself refuses very long ones


def read_tags(header: str) -> Tags | None:
    """Follow RFC 9110, 8.8.3, with empty elements as 5.6.1 allows; ``None`` where the header is malformed."""
    if header.strip(" \t") == "*":
        return "*"
    tags: list[tuple[bool, str]] = []
    rest = header.strip(" \t,")
    while rest:
        weak = rest.startswith("W/")
        opening, *closing = rest.removeprefix("W/").split('"', 2)
        if opening or len(closing) != 2 or not all(one > " " and one != "\x7f" and one <= "\xff" for one in closing[0]):
            return None
        tags.append((weak, f'"{closing[0]}"'))
        rest = closing[1].lstrip(" \t")
        if rest and rest[0] != ",":
            return None
        rest = rest.lstrip(" \t,")
    return tags or "none"


class Disposition(NamedTuple):
    """What a client understands of ``Content-Disposition``."""

    kind: str
    filename: str


def read_disposition(header: str) -> Disposition:
    """Follow RFC 6266 and RFC 8187, strictly."""
    kind, semicolon, rest = header.partition("; ")
    assert kind in {"inline", "attachment"}
    assert semicolon
    if rest.startswith("filename*="):
        value = rest.removeprefix("filename*=utf-8''")
        assert value != rest
        # A slash is no attr-char; browsers take it for one, and none of the names that are stored has it.
        plain = value.replace("/", "")
        while plain:
            if plain[0] == "%":
                assert {*plain[1:3]} <= DIGITS | set("ABCDEF")
                assert len(plain) >= 3
            else:
                assert plain[0] in ATTR
            plain = plain[3 if plain[0] == "%" else 1 :]
        return Disposition(kind, unquote_to_bytes(value).decode())
    quoted = rest.removeprefix('filename="')
    assert quoted != rest
    assert quoted.endswith('"')
    characters, filename = iter(quoted[:-1]), ""
    for one in characters:
        assert one != '"'
        filename += next(characters) if one == "\\" else one
    return Disposition(kind, filename)


def printable(text: str) -> str:
    """Return the text without what is not seen, but may change how the rest is: at most 150 characters of it."""
    kept = [
        one
        for one in text
        if one in "\u200c\u200d" or (unicodedata.category(one)[0] != "C" and one not in "\u2028\u2029")
    ]
    return "".join(kept if len(kept) <= 150 else kept[:120] + kept[-30:])


def is_passive(content_type: str) -> bool:
    """Tell whether a browser may show it: nothing in it runs."""
    kind, _, subtype = content_type.partition("/")
    documents = any(word in subtype for word in ("xml", "html", "xsl", "xul", "wasm", "flash"))
    return content_type in PASSIVE or (kind in {"audio", "video"} and not documents and not is_run(content_type))


def is_run(content_type: str) -> bool:
    """Tell whether a page would run it."""
    scripts = ("javascript", "ecmascript", "jscript", "livescript", "css")
    return content_type.partition("/")[2].removeprefix("x-").startswith(scripts)
