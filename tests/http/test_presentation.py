"""What browsers are told of a file, as data: what they may show, under which name, and what may run in it."""

import pytest

from pg_lo_storage.content_types import content_type_of
from pg_lo_storage.http import FileFacts, Presentation, answer
from pg_lo_storage.http.presentation import printable

pytestmark = pytest.mark.once

POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
SANDBOX, PLAYER = f"sandbox; {POLICY}", f"sandbox allow-same-origin; {POLICY}"


def headers_of(name: str, content_type: str | None = None, presentation: Presentation | None = None) -> dict[str, str]:
    """Return the headers of an answer with such a file."""
    return answer("GET", {}, FileFacts(7, 1, name, content_type), presentation or Presentation()).headers


def shown(name: str, content_type: str | None = None, presentation: Presentation | None = None) -> tuple[str, str, str]:
    """Return the type, whether the file is shown or offered, and the policy."""
    headers = headers_of(name, content_type, presentation)
    disposition = headers["Content-Disposition"].partition(";")[0]
    return headers["Content-Type"], disposition, headers.get("Content-Security-Policy", "")


@pytest.mark.parametrize(
    ("name", "content_type", "expected"),
    [
        ("a.pdf", None, ("application/pdf", "inline", "")),
        ("a.png", None, ("image/png", "inline", SANDBOX)),
        ("a.png", "Image/PNG", ("image/png", "inline", SANDBOX)),
        ("a.mp3", None, ("audio/mpeg", "inline", PLAYER)),
        ("a", "video/x-anything", ("video/x-anything", "inline", PLAYER)),
        ("a", "video/x-anything+xml", ("video/x-anything+xml", "attachment", SANDBOX)),
        ("a", "audio/html", ("audio/html", "attachment", SANDBOX)),
        ("a", "image/other", ("image/other", "attachment", SANDBOX)),
        ("a.html", None, ("text/html", "attachment", SANDBOX)),
        ("a.svg", None, ("image/svg+xml", "attachment", SANDBOX)),
        ("a.js", None, ("application/octet-stream", "attachment", SANDBOX)),
        ("a.css", None, ("application/octet-stream", "attachment", SANDBOX)),
        ("a", "application/x-javascript", ("application/octet-stream", "attachment", SANDBOX)),
        ("a", "video/x-ecmascript-1", ("application/octet-stream", "attachment", SANDBOX)),
        ("a", "text/xjavascript", ("text/xjavascript", "attachment", SANDBOX)),
        ("a.pdf", "text/html", ("text/html", "attachment", SANDBOX)),
        ("a.pdf", "no type", ("application/octet-stream", "attachment", SANDBOX)),
        ("a.pdf", "", ("application/octet-stream", "attachment", SANDBOX)),
        ("a", None, ("application/octet-stream", "attachment", SANDBOX)),
    ],
)
def test_only_what_runs_nothing_is_shown(name: str, content_type: str | None, expected: tuple[str, str, str]) -> None:
    assert shown(name, content_type) == expected


@pytest.mark.parametrize(
    ("presentation", "expected"),
    [
        (Presentation(as_attachment=True), ("application/pdf", "attachment", SANDBOX)),
        (Presentation(as_attachment=False), ("application/pdf", "inline", "")),
        (Presentation(inline_types=["image/*"]), ("application/pdf", "attachment", SANDBOX)),
        (Presentation(content_type="text/html"), ("text/html", "attachment", SANDBOX)),
        (Presentation(content_type="text/html", as_attachment=False), ("text/html", "inline", SANDBOX)),
        (Presentation(content_type="text/javascript"), ("text/javascript", "attachment", SANDBOX)),
        (Presentation(content_type=" Text/Plain ; charset=x"), (" Text/Plain ; charset=x", "inline", SANDBOX)),
        (Presentation(content_type="text/plain, text/html"), ("text/plain, text/html", "attachment", SANDBOX)),
        (Presentation(content_type="video/mp4", as_attachment=True), ("video/mp4", "attachment", SANDBOX)),
        (Presentation(content_type="nothing"), ("nothing", "attachment", SANDBOX)),
        (Presentation(content_type="image/x", inline_types=["image/*"]), ("image/x", "inline", SANDBOX)),
        (Presentation(content_type="text/css", inline_types=["text/*"]), ("text/css", "attachment", SANDBOX)),
        (Presentation(content_type="text/css", inline_types=["text/css"]), ("text/css", "inline", SANDBOX)),
        (Presentation(content_type="message/x", inline_types=["message/*"]), ("message/x", "attachment", SANDBOX)),
    ],
)
def test_what_is_shown_can_be_said(presentation: Presentation, expected: tuple[str, str, str]) -> None:
    assert shown("a.pdf", None, presentation) == expected


@pytest.mark.parametrize(
    ("name", "download_name", "expected"),
    [
        ("a.pdf", None, 'filename="a.pdf"'),
        ("a.pdf", "b.pdf", 'filename="b.pdf"'),
        ("a.pdf", "", 'filename="a.pdf"'),
        ("a.pdf", "\u202e\r\n", 'filename="a.pdf"'),
        ("a.pdf", 'a"b\\.pdf', r'filename="a\"b\\.pdf"'),
        ("a.pdf", "a\r\nX: 1.pdf", 'filename="aX: 1.pdf"'),
        ("a.pdf", "\u202efdp.exe", 'filename="fdp.exe"'),
        ("ä €.pdf", None, "filename*=utf-8''%C3%A4%20%E2%82%AC.pdf"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.pdf", None, "%D9%85%DB%8C%E2%80%8C%D8%AE"),
    ],
)
def test_it_is_offered_under_a_name_that_hides_nothing(name: str, download_name: str | None, expected: str) -> None:
    assert expected in headers_of(name, None, Presentation(download_name=download_name))["Content-Disposition"]


def test_without_a_name_there_is_none() -> None:
    assert headers_of("")["Content-Disposition"] == "attachment"


def test_a_long_name_keeps_its_start_and_its_ending() -> None:
    just = "a" * 146 + ".pdf"
    assert printable(just) == just
    longer = "0123456789" * 15 + "a"
    assert printable(longer) == longer[:120] + longer[-30:]
    assert len(printable(longer)) == 150


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a\u00a0b\u3000c", "a\u00a0b\u3000c"),  # spaces
        ("a\u200db\u200cc", "a\u200db\u200cc"),  # joiners
        ("a\u200eb\u2066c\u0000d\u007fe\ud800f\ue000", "abcdef"),
        ("a\u2028b\u2029c\td\ne", "abcde"),
        ("", ""),
    ],
)
def test_what_is_not_seen_is_left_out(name: str, expected: str) -> None:
    assert printable(name) == expected


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("a.PDF", None, "application/pdf"),
        ("a.html.pdf", "text/html", "application/pdf"),
        ("a.txt.gz", "text/plain", "application/gzip"),
        ("a.bz2", None, "application/x-bzip2"),
        ("a.xz", None, "application/x-xz"),
        ("a.Z", "text/html", "application/octet-stream"),
        ("pdf", None, "application/octet-stream"),
        ("data:text/html,x", None, "application/octet-stream"),
        ("a.unheardof", "Text/Plain; charset=utf-7", "text/plain"),
        ("", "text/plain ;\n", "text/plain"),
        ("", "text/plain x", "application/octet-stream"),
        ("", "text", "application/octet-stream"),
        ("", 5, "application/octet-stream"),
    ],
)
def test_the_extension_says_the_type_then_the_uploader(name: str, declared: object, expected: str) -> None:
    assert content_type_of(name, declared) == expected
