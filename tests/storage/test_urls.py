"""``url``: below the base, whatever the name."""

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from django.conf import settings
from django.test import override_settings
from hypothesis import example, given
from hypothesis import strategies as st

from pg_lo_storage.storage import DbFileStorage, db_file_storage

pytestmark = pytest.mark.once

HOSTILE = [
    "//evil.example/12.txt",
    "///evil.example/12.txt",
    "https://evil.example/12.txt",
    "javascript:alert(1)",
    "data:text/html,12",
    "/etc/passwd",
    "../x",
    "..",
    ".",
    "...",
    "../../x/../y",
    "%2e%2e",
    "%2e%2e/x",
    "..\\x",
    "\\\\evil.example\\12.txt",
    "/\\evil.example",
    "x?next=y",
    "x#y",
    "x;y",
    "user@evil.example",
    "x\r\nSet-Cookie: y",
    "\t//evil.example",
    "\x00\x7f\x85",
    "\ud800",
    "\u202e12.txt",
    " ",
    "",
    None,
]
BASES = ["/files/", "/files", "https://cdn.example/files/", "//cdn.example/files"]
PAGE = "https://site.example/some/page/"


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("12.txt", "12.txt"),
        ("12.tar.gz", "12.tar.gz"),
        ("12", "12"),
        ("12.a b", "12.a%20b"),
        ("12.50%", "12.50%25"),
        ("12.a?b#c", "12.a%3Fb%23c"),
        ("12.日本", "12.%E6%97%A5%E6%9C%AC"),
        ("12.\"'<>", "12.%22%27%3C%3E"),
    ],
)
@pytest.mark.parametrize("base_url", ["/invoices/", "/invoices", "https://cdn.example/invoices/"])
def test_a_stored_name_is_percent_encoded_behind_the_base(name: str, segment: str, base_url: str) -> None:
    url = DbFileStorage(base_url).url(name)
    assert url == base_url.rstrip("/") + "/" + segment
    assert unquote(url).endswith(name)


def stays_below(base_url: str, name: str | None) -> None:
    base = urlsplit(urljoin(PAGE, base_url.rstrip("/") + "/"))
    url = DbFileStorage(base_url).url(name)
    assert url.isascii()
    assert url.isprintable()
    assert " " not in url
    found = urlsplit(urljoin(PAGE, url))
    assert (found.scheme, found.netloc, found.query, found.fragment) == (base.scheme, base.netloc, "", "")
    segment = found.path.removeprefix(base.path)
    assert segment != found.path
    assert "/" not in segment
    assert "\\" not in segment
    # A browser resolves dots in any encoding.
    assert unquote(segment) not in {".", ".."}


@pytest.mark.parametrize("base_url", BASES)
@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leads_away_from_the_base(base_url: str, name: str | None) -> None:
    stays_below(base_url, name)


@given(base_url=st.sampled_from(BASES), name=st.text())
@example("/files/", "//evil.example")
def test_no_text_leads_away_from_the_base(base_url: str, name: str) -> None:
    stays_below(base_url, name)


@given(st.text(alphabet="./\\%2eE\t\n:?#@", min_size=1))
def test_no_text_made_of_what_urls_are_made_of_leads_away_from_the_base(name: str) -> None:
    stays_below("/files/", name)


def test_the_default_base_is_media_url() -> None:
    assert settings.MEDIA_URL == "/files/"
    assert db_file_storage.url("12.txt") == "/files/12.txt"
    with override_settings(MEDIA_URL="/changed"):
        assert db_file_storage.url("12.txt") == "/changed/12.txt"
        assert DbFileStorage(alias="other").url("12.txt") == "/changed/12.txt"
    assert db_file_storage.url("12.txt") == "/files/12.txt"


def test_a_base_of_its_own_comes_before_media_url() -> None:
    assert DbFileStorage("/invoices/").base_url == "/invoices/"
    assert DbFileStorage(base_url="/invoices").url("12.txt") == "/invoices/12.txt"


@override_settings(MEDIA_URL=None)
def test_without_any_base_there_is_no_url() -> None:
    with pytest.raises(ValueError, match="MEDIA_URL"):
        db_file_storage.url("12.txt")
    assert DbFileStorage("/invoices").url("12.txt") == "/invoices/12.txt"
