"""How a file is presented to browsers: its type, its name, and what it may do there."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from django.utils.http import content_disposition_header

from pg_lo_storage.catalogue.content_types import UNKNOWN, content_type_of
from pg_lo_storage.serving.ranges import MAX_RANGES

if TYPE_CHECKING:
    from pg_lo_storage.catalogue import Entry

__all__ = ["INLINE_TYPES", "NO_STORE", "Presentation"]

INLINE_TYPES: Final[Collection[str]] = frozenset(
    {
        "application/pdf",
        "audio/*",
        "image/apng",
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/plain",
        "video/*",
    }
)
"""What a browser shows without running anything in it. All else, HTML, SVG and XML above all, is a download."""

NO_STORE: Final = {"Cache-Control": "no-store"}
"""Of an answer without a file: no cache is to repeat it to others, nor once there is one."""

# Nothing in a document runs, loads, or is of the site's origin; what a browser puts around an image may be styled, and
# may load the file itself. What it puts around audio and video does that as the site, or not at all.
_POLICY: Final = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
_SANDBOX: Final = f"sandbox; {_POLICY}"
_PLAYER: Final = f"sandbox allow-same-origin; {_POLICY}"
# A page of the site, tricked into naming them, would run these by their type: a browser asks for no other consent.
_RUN_BY_PAGES: Final = ("javascript", "ecmascript", "jscript", "livescript", "css")
# Of one media type only: of a list with commas browsers take the last.
_ONE_TYPE: Final = re.compile(r"([^/;,\s]+/[^/;,\s]+)[ \t]*(?:;[^,]*)?")
# Browsers take every type that ends in "+xml" for XML, which may be SVG or XHTML; these parts are types of their own.
_DOCUMENT: Final = re.compile(r"multipart/.*|message/.*|[^/]*/.*(?:xml|html|xsl|xul|wasm|flash).*")
_LONGEST_NAME: Final = 150
_LONGEST_ENDING: Final = 30
_JOINERS: Final = "\u200c\u200d"  # parts of words in Persian and Indic scripts, and of emoji


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a view's arguments say: see :func:`pg_lo_storage.views.db_serve`."""

    as_attachment: bool | None = None
    download_name: str | None = None
    content_type: str | None = None
    inline_types: Collection[str] = INLINE_TYPES
    max_ranges: int = MAX_RANGES
    headers: Mapping[str, str | None] = field(default_factory=dict[str, str | None])

    def type_of(self, name: str, entry: "Entry | None") -> str:
        """Return the content type: the given one, the catalogue's, or else the one that the name's extension means.

        The catalogue has none of what was made without a name, by :class:`DbFileIO`: then any extension names it.
        """
        if self.content_type is not None:
            return self.content_type
        found = UNKNOWN if entry is None else content_type_of("", entry.content_type)
        if entry is None or (entry.extension is None and found == UNKNOWN):
            found = content_type_of(name)
        return UNKNOWN if _is_run_by_pages(found) else found

    def headers_of(self, name: str, entry: "Entry | None") -> dict[str, str]:
        """Return the headers that say what a file is and what it may do."""
        content_type = self.type_of(name, entry)
        match = _ONE_TYPE.fullmatch(content_type.strip())
        essence = match[1].lower() if match else ""
        as_attachment = self.as_attachment
        if as_attachment is None:
            as_attachment = essence not in self.inline_types and _kind_of(essence) not in self.inline_types
        original = (entry.original_name if entry else "") or name
        shown_name = _printable(self.download_name or original) or _printable(original) or _printable(name)
        headers = {
            "Content-Type": content_type,
            "Content-Disposition": content_disposition_header(as_attachment, shown_name) or "inline",
            "X-Content-Type-Options": "nosniff",
            # Whoever loses the right to a file loses what the browser has kept of it.
            "Cache-Control": "private, no-cache",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        # In a sandbox browsers show no PDF; what runs in one, runs in the viewer's own.
        if as_attachment or essence != "application/pdf":
            is_played = not as_attachment and _kind_of(essence) in {"audio/*", "video/*"}
            headers["Content-Security-Policy"] = _PLAYER if is_played else _SANDBOX
        return headers

    def changed(self, headers: dict[str, str]) -> dict[str, str]:
        """Return the headers with those replaced and removed that the view says, in any spelling."""
        spelled = {header.lower(): header for header in headers}
        changed = {**headers, **{spelled.get(header.lower(), header): value for header, value in self.headers.items()}}
        return {header: value for header, value in changed.items() if value is not None}


def _kind_of(essence: str) -> str | None:
    """Return the wildcard that a type is of; documents, in which something may run, are of none."""
    return None if _DOCUMENT.fullmatch(essence) or _is_run_by_pages(essence) else f"{essence.partition('/')[0]}/*"


def _is_run_by_pages(essence: str) -> bool:
    return essence.partition("/")[2].removeprefix("x-").startswith(_RUN_BY_PAGES)


def _printable(name: str) -> str:
    # Neither controls nor what turns the direction of writing, to hide an extension.
    kept = name if name.isprintable() else "".join(filter(_is_shown, name))
    # Proxies limit a response's headers to some kilobytes.
    return kept if len(kept) <= _LONGEST_NAME else kept[: _LONGEST_NAME - _LONGEST_ENDING] + kept[-_LONGEST_ENDING:]


def _is_shown(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"
