"""What browsers are told of a file: its type, its name, and what it may do."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.message import Message
from urllib.parse import quote

import pytest
from django.core.files.base import ContentFile
from django.db import transaction
from django.http import HttpResponseBase
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from pg_lo_storage.catalogue import Entry
from pg_lo_storage.http.finding import facts_of
from pg_lo_storage.http.presentation import Presentation
from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import DbFileIO, db_file_storage
from pg_lo_storage.views import INLINE_TYPES, db_serve
from tests.storage.support import LARGE, content, joined, loid_of

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def name() -> str:
    return db_file_storage.save("a.pdf", ContentFile(b"0123456789"))


def serve(
    name: str,
    *,
    as_attachment: bool | None = None,
    download_name: str | None = None,
    content_type: str | None = None,
    headers: Mapping[str, str | None] | None = None,
    asked: Mapping[str, str] | None = None,
) -> HttpResponseBase:
    request = RequestFactory().get("/", headers=asked)
    return db_serve(
        request,
        name,
        as_attachment=as_attachment,
        download_name=download_name,
        content_type=content_type,
        headers=headers,
    )


TYPES = [
    ("a.pdf", "application/pdf", "inline"),
    ("a.png", "image/png", "inline"),
    ("a.jpg", "image/jpeg", "inline"),
    ("a.gif", "image/gif", "inline"),
    ("a.txt", "text/plain", "inline"),
    ("a.mp4", "video/mp4", "inline"),
    ("a.mp3", "audio/mpeg", "inline"),
    ("a.html", "text/html", "attachment"),
    ("a.HTM", "text/html", "attachment"),
    ("a.xhtml", "application/xhtml+xml", "attachment"),
    ("a.svg", "image/svg+xml", "attachment"),
    ("a.webp", "image/webp", "inline"),
    ("a.xml", "", "attachment"),
    ("a.xsl", "", "attachment"),
    # What a page of the site would run by its type has none.
    ("a.js", "application/octet-stream", "attachment"),
    ("a.mjs", "application/octet-stream", "attachment"),
    ("a.css", "application/octet-stream", "attachment"),
    ("a.mhtml", "", "attachment"),
    ("a.zip", "application/zip", "attachment"),
    ("a.tar.gz", "application/gzip", "attachment"),
    ("a.tar.xz", "application/x-xz", "attachment"),
    ("a.svgz", "application/gzip", "attachment"),
    ("a.nothing", "application/octet-stream", "attachment"),
    ("a", "application/octet-stream", "attachment"),
]


@pytest.mark.parametrize(("original", "content_type", "disposition"), TYPES)
@pytest.mark.parametrize("headers", [{}, {"range": "bytes=1-2"}])
def test_only_what_runs_nothing_is_shown_in_the_browser(
    original: str, content_type: str, disposition: str, headers: dict[str, str]
) -> None:
    name = db_file_storage.save(original, ContentFile(b"<script>alert(1)</script>"))
    response = serve(name, asked=headers)
    assert response.headers["Content-Disposition"].partition(";")[0] == disposition
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert "Content-Encoding" not in response.headers
    if content_type:
        assert response.headers["Content-Type"] == content_type


def offered(response: HttpResponseBase) -> tuple[str, str | None]:
    """Return the disposition and the file name, as a client reads them."""
    header = response.headers["Content-Disposition"]
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["Content-Disposition"] = header
    return message.get_content_disposition() or "", message.get_filename()


def test_the_original_name_is_offered_where_it_is_known(name: str, catalogue: bool) -> None:
    assert offered(serve(name)) == ("inline", "a.pdf" if catalogue else name)


def test_a_file_without_a_name_is_offered_under_its_stored_one() -> None:
    name = db_file_storage.save("", ContentFile(b"data"))
    assert offered(serve(name)) == ("attachment", name)
    assert offered(serve(name, download_name="\n\x00")) == ("attachment", name)


def test_what_stands_in_for_a_name_that_cannot_be_seen_hides_nothing_either(catalogue: bool) -> None:
    name = db_file_storage.save("", ContentFile(b"data"))
    if catalogue:
        StoredFile.objects.update(extension=None)
    typed = f"{loid_of(name)}.\u202efdp.exe"
    assert offered(serve(typed, download_name="\n\x00")) == ("attachment", f"{loid_of(name)}.fdp.exe")


@pytest.mark.parametrize(("original", "by_default"), [("a.pdf", "inline"), ("a.zip", "attachment")])
def test_whether_to_show_or_download_can_be_said(original: str, by_default: str) -> None:
    name = db_file_storage.save(original, ContentFile(b"data"))
    for as_attachment, disposition in ((None, by_default), (True, "attachment"), (False, "inline")):
        assert offered(serve(name, as_attachment=as_attachment))[0] == disposition


@pytest.mark.parametrize("as_attachment", [False, True])
@pytest.mark.parametrize(
    "download_name",
    ["invoice 2024.pdf", 'a "quoted" name.pdf', "back\\slash.pdf", "semi;colon=.pdf", "50%.pdf", "it's.pdf"],
)
def test_a_file_is_offered_under_another_name(download_name: str, as_attachment: bool, name: str) -> None:
    response = serve(name, as_attachment=as_attachment, download_name=download_name)
    assert offered(response) == ("attachment" if as_attachment else "inline", download_name)


@pytest.mark.parametrize(
    "download_name",
    [
        "naïve.pdf",
        "счёт.pdf",
        "請求書\u3000三月.pdf",
        "فاتورة.pdf",
        "क\u200dष.pdf",
        "👩\u200d💻.pdf",
        "a\xa0b.pdf",
    ],
)
def test_the_other_name_may_be_of_any_script(download_name: str, name: str) -> None:
    response = serve(name, as_attachment=True, download_name=download_name)
    header = response.headers["Content-Disposition"]
    assert header.isascii()
    assert header == f"attachment; filename*=utf-8''{quote(download_name)}"


@pytest.mark.parametrize(
    "download_name",
    ["a\r\nSet-Cookie: b.pdf", "a\nb.pdf", "a\x00b.pdf", "a\u202efdp.exe", "a\u2028b.pdf", "a\ud800b.pdf"],
)
def test_the_other_name_cannot_add_a_header_nor_hide_itself(download_name: str, name: str) -> None:
    response = serve(name, as_attachment=True, download_name=download_name)
    header = response.headers["Content-Disposition"]
    assert not re.search(r"[\r\n\x00]|%0[0ad]|%E2%80%A[8E]|%ED", header, re.IGNORECASE)
    assert "Set-Cookie" not in response.headers


def test_a_long_name_keeps_its_ending(name: str) -> None:
    header = serve(name, download_name="請" * 5000 + ".pdf").headers["Content-Disposition"]
    assert header.endswith(".pdf")
    assert len(header) < 2000


def test_the_original_name_is_harmless_too(catalogue: bool) -> None:
    name = db_file_storage.save('a\r\n"b\x7f\u202e.html', ContentFile(b"data"))
    disposition, shown = offered(serve(name))
    assert (disposition, shown) == ("attachment", 'a"b.html' if catalogue else name)


@pytest.mark.parametrize(
    ("original", "as_attachment", "is_sandboxed"),
    [
        ("a.txt", None, True),
        ("a.png", None, True),
        ("a.html", None, True),
        ("a.html", False, True),
        ("a.svg", False, True),
        ("a.pdf", True, True),
        # Browsers show no PDF in a sandbox.
        ("a.pdf", None, False),
    ],
)
def test_nothing_runs_in_what_is_shown(original: str, as_attachment: bool | None, is_sandboxed: bool) -> None:
    name = db_file_storage.save(original, ContentFile(b"<script>alert(1)</script>"))
    policy = serve(name, as_attachment=as_attachment).headers.get("Content-Security-Policy", "")
    directives = {directive.strip() for directive in policy.split(";")}
    assert {"sandbox", "default-src 'none'"} <= directives or not is_sandboxed
    assert "allow-scripts" not in policy
    assert bool(policy) == is_sandboxed


def test_the_type_is_the_catalogues_not_what_the_requester_typed(catalogue: bool) -> None:
    name = db_file_storage.save("a.pdf", ContentFile(b"<script>"))
    typed = f"{loid_of(name)}.html"
    if catalogue:
        assert serve(typed).status_code == 404
        StoredFile.objects.update(extension=None)
        assert serve(typed).headers["Content-Type"] == "application/pdf"
    else:
        # Without a catalogue nothing else is known: it is a download, in a sandbox.
        assert offered(serve(typed))[0] == "attachment"


def test_what_was_made_without_a_name_has_the_type_of_the_name_it_is_given() -> None:
    with transaction.atomic(), DbFileIO(0, "wb") as file:
        file.write(b"data")
    assert offered(serve(f"{file.loid}.pdf"))[0] == "inline"
    assert serve(f"{file.loid}.pdf").headers["Content-Type"] == "application/pdf"
    assert offered(serve(f"{file.loid}.html"))[0] == "attachment"


def test_a_type_that_is_none_in_the_catalogue_breaks_nothing(name: str, catalogue: bool) -> None:
    if catalogue:
        StoredFile.objects.update(content_type="text/html\r\nSet-Cookie: a=b")
        response = serve(name)
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert offered(response)[0] == "attachment"


def test_a_declared_type_is_inline_only_where_it_is_passive(catalogue: bool) -> None:
    for declared, disposition in (("image/png", "inline"), ("text/html; charset=utf-8", "attachment")):
        upload = ContentFile(b"data", name="a")
        upload.content_type = declared  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  as uploads have it
        name = db_file_storage.save("a", upload)
        assert offered(serve(name))[0] == (disposition if catalogue else "attachment")


@pytest.mark.parametrize(
    "declared",
    [
        "application/ecmascript",
        "application/x-javascript",
        "text/css",
        "text/javascript1.5",
        "text/jscript",
        "text/livescript",
        "text/x-ecmascript",
    ],
)
def test_no_declared_type_makes_a_page_run_a_file(declared: str) -> None:
    upload = ContentFile(b"alert()", name="a")
    upload.content_type = declared  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  as uploads have it
    assert serve(db_file_storage.save("a", upload)).headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("content_type", ["application/pdf", "Application/PDF", "application/pdf; version=1.7"])
def test_a_pdf_that_is_shown_is_in_no_sandbox_however_its_type_is_spelled(content_type: str, name: str) -> None:
    response = serve(name, content_type=content_type)
    assert offered(response)[0] == "inline"
    assert "Content-Security-Policy" not in response.headers


def test_the_type_can_be_said(name: str) -> None:
    response = serve(name, content_type="text/csv; charset=utf-8")
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert offered(response)[0] == "attachment"
    parts = serve(name, content_type="text/csv", asked={"range": "bytes=0-1,3-4"})
    assert b"Content-Type: text/csv\r\n" in b"".join(parts)


@pytest.mark.parametrize(
    ("inline_types", "disposition"),
    [(["application/*"], "inline"), (["application/pdf"], "inline"), (["image/png"], "attachment"), ([], "attachment")],
)
def test_what_is_shown_can_be_said(name: str, inline_types: list[str], disposition: str) -> None:
    response = db_serve(RequestFactory().get("/"), name, inline_types=inline_types)
    assert offered(response)[0] == disposition


def declared(content_type: str) -> str:
    upload = ContentFile(b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", name="a")
    upload.content_type = content_type  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  as uploads have it
    return db_file_storage.save("a", upload)


# Whatever of its kind a wildcard would show.
DOCUMENTS = [
    "video/x+xml",
    "audio/mp3+xml",
    "VIDEO/X+XML",
    "video/x+xml; charset=utf-8",
    "video/xml",
    "audio/xml-external-parsed-entity",
    "image/svg+xml",
    "image/svg+xml;x=1",
    "text/xml",
    "text/xml-external-parsed-entity",
    "text/xsl",
    "text/html",
    "text/html-sandboxed",
    "text/css",
    "text/javascript",
    "application/xml",
    "application/xhtml+xml",
    "application/xml-dtd",
    "application/xslt+xml",
    "application/vnd.mozilla.xul+xml",
    "application/wasm",
    "application/x-shockwave-flash",
    "application/x-javascript",
    "multipart/related",
    "multipart/x-mixed-replace",
    "message/rfc822",
]
WILDCARDS = ["application/*", "audio/*", "image/*", "message/*", "multipart/*", "text/*", "video/*", "*/*", "*"]


@pytest.mark.parametrize("content_type", DOCUMENTS)
@pytest.mark.parametrize("inline_types", [INLINE_TYPES, WILDCARDS], ids=["default", "wildcards"])
def test_no_wildcard_shows_what_may_be_a_document(content_type: str, inline_types: Collection[str]) -> None:
    name = declared(content_type)
    for said in (None, content_type):
        response = db_serve(RequestFactory().get("/"), name, content_type=said, inline_types=inline_types)
        # What runs by its type has none, and then is shown as nothing.
        assert offered(response)[0] == "attachment" or response.headers["Content-Type"] == "application/octet-stream"
        assert "sandbox; default-src 'none'" in response.headers["Content-Security-Policy"]
        # Told to show it, a browser does so as no site at all.
        shown = db_serve(RequestFactory().get("/"), name, content_type=said, as_attachment=False)
        assert "allow-same-origin" not in shown.headers["Content-Security-Policy"]


@pytest.mark.parametrize("content_type", ["video/mp4", "audio/mpeg", "image/png", "text/csv", "application/json"])
def test_a_wildcard_shows_the_rest_of_its_kind(content_type: str) -> None:
    response = db_serve(RequestFactory().get("/"), "1", content_type=content_type, inline_types=WILDCARDS)
    assert response.status_code == 404
    name = db_file_storage.save("a", ContentFile(b"data"))
    response = db_serve(RequestFactory().get("/"), name, content_type=content_type, inline_types=WILDCARDS)
    assert offered(response)[0] == "inline"


def test_what_is_named_is_shown(name: str) -> None:
    response = db_serve(RequestFactory().get("/"), name, content_type="image/svg+xml", inline_types=["image/svg+xml"])
    assert offered(response)[0] == "inline"
    assert response.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize(
    "content_type",
    [
        # Of several a browser takes the last.
        "application/pdf, text/html",
        "application/pdf; version=1.7, text/html",
        "application/pdf;,text/html",
        "video/mp4, text/html",
        "application/pdf text/html",
        "application/pdf/html",
        "application/pdf\x0b, text/html",
        "",
        ";",
        "text",
    ],
)
def test_what_is_no_single_type_is_shown_by_none(content_type: str, name: str) -> None:
    response = serve(name, content_type=content_type)
    assert offered(response)[0] == "attachment"
    assert response.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


@given(
    st.one_of(
        st.text(max_size=40),
        st.from_regex(r"[a-zA-Z*+/;,. \x00-\x1f\x7f-\xff]{1,40}", fullmatch=True),
        st.builds(
            "{}/{}{}".format, st.sampled_from(["video", "audio", "TEXT", "*"]), st.text(max_size=9), st.just("+xml")
        ),
    )
)
def test_no_stored_type_is_shown_but_as_it_says(stored: str) -> None:
    entry = Entry(1, "", "a", stored, 1, None, datetime.now(UTC), datetime.now(UTC), "1")
    facts = facts_of("1", 1, 1, entry)
    headers = Presentation().headers_of(facts)
    shown = headers["Content-Type"]
    assert shown.isascii()
    assert shown.isprintable()
    assert re.fullmatch(r"[^/;, ]+/[^/;, ]+", shown)
    if not headers["Content-Disposition"].startswith("attachment"):
        assert shown in INLINE_TYPES or shown.startswith(("audio/", "video/"))
        assert "xml" not in shown
    if shown != "application/pdf":
        assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_headers_can_be_replaced_and_removed(name: str) -> None:
    changes = {"cache-control": "private, max-age=60", "Content-Security-Policy": None, "X-Own": "1", "etag": None}
    response = serve(name, as_attachment=True, headers=changes)
    assert response.headers["Cache-Control"] == "private, max-age=60"
    assert response.headers["X-Own"] == "1"
    assert "Content-Security-Policy" not in response.headers
    assert "ETag" not in response.headers
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert serve(name, headers={"content-type": None}, asked={"range": "bytes=0-1,3-4"}).status_code == 206


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_type_that_is_removed_is_not_djangos_html(size: int) -> None:
    name = db_file_storage.save("a.pdf", ContentFile(content(size)))
    for asked in ({}, {"range": "bytes=1-2"}):
        assert "Content-Type" not in serve(name, headers={"content-type": None}, asked=asked).headers


def test_headers_are_replaced_in_any_spelling(name: str) -> None:
    parts = serve(name, headers={"content-type": "text/x-own"}, asked={"range": "bytes=0-1,3-4"})
    assert joined(parts).count(b"Content-Type: text/x-own\r\n") == 2
    outside = serve(name, headers={"cache-control": "no-store"}, asked={"range": "bytes=99-"})
    assert outside.headers["Cache-Control"] == "no-store"
