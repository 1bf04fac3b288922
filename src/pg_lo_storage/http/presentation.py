"""How a file is presented to browsers: its type, its name, and what it may do there."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from pg_lo_storage.content_types import UNKNOWN, content_type_of
from pg_lo_storage.http.facts import FileFacts
from pg_lo_storage.http.fields import content_disposition
from pg_lo_storage.http.ranges import MAX_RANGES

__all__ = ["INLINE_TYPES", "NO_STORE", "Presentation", "printable"]

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
"""Types that a browser shows without running anything in them. Others, above all HTML, SVG and XML, are downloads."""

NO_STORE: Final = {"Cache-Control": "no-store"}
"""For an answer without a file: no cache may repeat it to others, or once the file exists."""

# Nothing in a document runs, loads, or has the site's origin. The page that a browser puts around an image may have
# styles, and may load the file itself; the page around audio or video can load it only with the site's origin.
_POLICY: Final = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
_SANDBOX: Final = f"sandbox; {_POLICY}"
_PLAYER: Final = f"sandbox allow-same-origin; {_POLICY}"
# A page of the site that is tricked into naming such a file would run it: a browser checks the type alone.
_RUN_BY_PAGES: Final = ("javascript", "ecmascript", "jscript", "livescript", "css")
# One media type only: of a list with commas browsers take the last.
_ONE_TYPE: Final = re.compile(r"([^/;,\s]+/[^/;,\s]+)[ \t]*(?:;[^,]*)?")
# Browsers take every type that ends in "+xml" for XML, which may be SVG or XHTML. The parts of a multipart or a message
# have types of their own.
_DOCUMENT: Final = re.compile(r"multipart/.*|message/.*|[^/]*/.*(?:xml|html|xsl|xul|wasm|flash).*")
_LONGEST_NAME: Final = 150
_LONGEST_ENDING: Final = 30
_JOINERS: Final = "\u200c\u200d"  # parts of words in Persian and Indic scripts, and of emoji


@dataclass(frozen=True, slots=True)
class Presentation:
    """What is said of a file to browsers.

    ``as_attachment`` offers it for download (default: all types but ``inline_types``, in which ``"video/*"`` stands for
    all of a kind), as ``download_name`` (default: the file's name). ``content_type`` replaces the file's, as it is. A
    request for more than ``max_ranges`` ranges gets the whole file. ``headers`` replace the answer's own; ``None``
    removes one.
    """

    __module__ = "pg_lo_storage.http"

    as_attachment: bool | None = None
    download_name: str | None = None
    content_type: str | None = None
    inline_types: Collection[str] = INLINE_TYPES
    max_ranges: int = MAX_RANGES
    headers: Mapping[str, str | None] = field(default_factory=dict[str, str | None])

    def headers_of(self, facts: FileFacts) -> dict[str, str]:
        """Return the headers that say what a file is and what it may do."""
        content_type = self.content_type
        if content_type is None:
            declared = facts.content_type
            content_type = content_type_of(facts.name) if declared is None else content_type_of("", declared)
            if _is_run_by_pages(content_type):
                content_type = UNKNOWN
        match = _ONE_TYPE.fullmatch(content_type.strip())
        essence = match[1].lower() if match else ""
        as_attachment = self.as_attachment
        if as_attachment is None:
            as_attachment = essence not in self.inline_types and _kind_of(essence) not in self.inline_types
        shown_name = (printable(self.download_name) if self.download_name else "") or printable(facts.name)
        headers = {
            "Content-Type": content_type,
            "Content-Disposition": content_disposition(shown_name, as_attachment=as_attachment),
            "X-Content-Type-Options": "nosniff",
            # A user who loses the right to a file loses the browser's copy, too.
            "Cache-Control": "private, no-cache",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        # Browsers show no PDF in a sandbox; what runs in a PDF, runs in the sandbox of the viewer.
        if as_attachment or essence != "application/pdf":
            is_played = not as_attachment and _kind_of(essence) in {"audio/*", "video/*"}
            headers["Content-Security-Policy"] = _PLAYER if is_played else _SANDBOX
        return headers

    def changed(self, headers: dict[str, str]) -> dict[str, str]:
        """Replace and remove the headers that ``headers`` names, in any spelling."""
        spelled = {header.lower(): header for header in headers}
        changed = {**headers, **{spelled.get(header.lower(), header): value for header, value in self.headers.items()}}
        return {header: value for header, value in changed.items() if value is not None}


def _kind_of(essence: str) -> str | None:
    """Return the wildcard that covers a type; none covers documents, in which something may run."""
    return None if _DOCUMENT.fullmatch(essence) or _is_run_by_pages(essence) else f"{essence.partition('/')[0]}/*"


def _is_run_by_pages(essence: str) -> bool:
    return essence.partition("/")[2].removeprefix("x-").startswith(_RUN_BY_PAGES)


def printable(name: str) -> str:
    """Return a name without control characters, and without those that turn the direction of writing; cut if long."""
    # Turned about, a name could hide its extension.
    kept = name if name.isprintable() else "".join(filter(_is_shown, name))
    # Proxies limit a response's headers to some kilobytes.
    return kept if len(kept) <= _LONGEST_NAME else kept[: _LONGEST_NAME - _LONGEST_ENDING] + kept[-_LONGEST_ENDING:]


def _is_shown(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"
