"""URLs that carry the right to read one file, for a while."""

import time
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.http import HttpResponseBase
from django.test import RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.storage.signing import PARAMETER, read_signature, signed_url
from pg_lo_storage.views import db_serve_signed
from tests.storage.support import joined

pytestmark = pytest.mark.django_db

STORAGE = DbFileStorage("/signed/")
NOW = 1_800_000_000.0


@pytest.fixture
def name() -> str:
    return STORAGE.save("a.pdf", ContentFile(b"0123456789"))


@pytest.fixture
def set_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def set_time(now: float) -> None:
        monkeypatch.setattr(time, "time", lambda: now)

    set_time(NOW)
    return set_time


def sign(name: str, max_age: float | timedelta = 3600, as_attachment: bool | None = None) -> str:
    return signed_url(
        STORAGE.url(name),
        name,
        base_url="/signed/",
        alias="default",
        max_age=max_age,
        as_attachment=as_attachment,
    )


def serve(url: str, storage: DbFileStorage = STORAGE, method: str = "GET") -> HttpResponseBase:
    request = RequestFactory().generic(method, url)
    return db_serve_signed(request, urlsplit(url).path.rpartition("/")[2], storage=storage)


def with_signature(url: str, signature: str) -> str:
    return f"{url.partition('?')[0]}?{PARAMETER}={quote(signature)}"


def signature_of(url: str) -> str:
    return dict(parse_qsl(urlsplit(url).query))[PARAMETER]


def test_whoever_has_the_url_may_read_the_file(name: str) -> None:
    response = serve(sign(name))
    assert response.status_code == 200
    assert joined(response) == b"0123456789"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert serve(sign(name), method="HEAD").status_code == 200


@pytest.mark.usefixtures("set_time")
def test_urls_of_earlier_releases_stay_valid() -> None:
    assert sign("17.pdf") == "/signed/17.pdf?signature=1800003600..m8kdj7RJpL0f8T0XSjsWK6pXJGXbpytycQ6D-cRRC2M"


def refused(response: HttpResponseBase) -> bool:
    return (response.status_code, joined(response), "ETag" in response.headers) == (403, b"", False)


def test_without_a_signature_nothing_is_told(name: str) -> None:
    missing = "/signed/4294967295.pdf"
    with CaptureQueriesContext(connection) as queries:
        for url in (STORAGE.url(name), missing):
            assert refused(serve(url))
            assert refused(serve(with_signature(url, "")))
    assert not queries.captured_queries
    assert serve(sign("4294967295.pdf")).status_code == 404


def test_a_signature_is_for_one_name(name: str) -> None:
    other = STORAGE.save("a.pdf", ContentFile(b"other"))
    assert refused(serve(with_signature(STORAGE.url(other), signature_of(sign(name)))))
    assert refused(serve(sign(name).replace(".pdf", ".html")))


def test_a_signature_is_for_one_storage(name: str) -> None:
    assert refused(serve(sign(name), DbFileStorage("/elsewhere/")))
    assert refused(serve(sign(name), DbFileStorage("/signed/", alias="replica")))


def granted(query: str) -> bool:
    return read_signature(query, "1.pdf", base_url="/signed/", alias="default") is not None


@given(st.text(max_size=60))
def test_nothing_else_is_a_signature(signature: str) -> None:
    assert not granted(signature)
    assert not granted(f"{PARAMETER}={signature}")


@given(place=st.integers(0, 200), character=st.characters(exclude_categories=()))
def test_a_signature_that_was_changed_is_none(place: int, character: str) -> None:
    query = urlsplit(sign("1.pdf", as_attachment=True)).query
    assert granted(query)
    place %= len(query)
    changed = query[:place] + character + query[place + 1 :]
    for other in (
        changed,
        query[:place],
        query + character,
        character + query,
        query[:place] + character + query[place:],
    ):
        assert granted(other) == (other == query)


def spellings(query: str) -> dict[str, str]:
    """Return queries that say the same as one, in other ways."""
    expires, disposition, signature = query.removeprefix(f"{PARAMETER}=").split(".")
    wide = expires.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    rest = f"{disposition}.{signature}"
    return {
        "leading zeros": f"{PARAMETER}=00{expires}.{rest}",
        "a sign": f"{PARAMETER}=%2B{expires}.{rest}",
        "a plus, which is a space": f"{PARAMETER}=+{expires}.{rest}",
        "an underscore": f"{PARAMETER}={expires[:3]}_{expires[3:]}.{rest}",
        "digits of another script": f"{PARAMETER}={wide}.{rest}",
        "those, encoded": f"{PARAMETER}={quote(wide)}.{rest}",
        "a percent-encoded digit": f"{PARAMETER}=%3{expires[0]}{expires[1:]}.{rest}",
        "a percent-encoded name": f"%73ignature={expires}.{rest}",
        "another parameter after it": f"{query}&a=b",
        "another parameter before it": f"a=b&{query}",
        "an empty one": f"{query}&",
        "twice": f"{query}&{query}",
        "twice, the first wrong": f"{PARAMETER}=x&{query}",
        "padding": f"{query}=",
        "another case": f"{PARAMETER}={expires}.{disposition}.{signature.swapcase()}",
        "a space at the end": f"{query}%20",
        "a line end": f"{query}%0A",
        "a semicolon": f"{query};a=b",
        "a question mark": f"?{query}",
    }


@pytest.mark.parametrize("other", spellings(f"{PARAMETER}=1.i.s"))
def test_a_url_has_one_spelling(other: str, name: str) -> None:
    url = sign(name, as_attachment=False)
    assert serve(url).status_code == 200
    assert refused(serve(f"{STORAGE.url(name)}?{spellings(urlsplit(url).query)[other]}"))


@pytest.mark.parametrize("max_age", [1, 10, 3600, timedelta(days=1), 0.5])
def test_a_url_expires(name: str, max_age: float | timedelta, set_time: Callable[[float], None]) -> None:
    seconds = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
    url = sign(name, max_age)
    set_time(NOW + seconds)
    assert refused(serve(url))
    set_time(NOW + seconds * 0.9 - 1)
    assert seconds < 10 or serve(url).status_code == 200


def test_a_later_expiry_is_not_signed(name: str, set_time: Callable[[float], None]) -> None:
    expires, rest = signature_of(sign(name)).split(".", 1)
    set_time(NOW + 7200)
    assert refused(serve(with_signature(sign(name), f"{int(expires) + 9999}.{rest}")))


def test_the_url_stays_the_same_for_a_while_so_that_browsers_cache(
    name: str, set_time: Callable[[float], None]
) -> None:
    urls: set[str] = set()
    for second in range(3600):
        set_time(NOW + second)
        urls.add(sign(name))
    assert len(urls) in {10, 11}


@pytest.mark.parametrize(("as_attachment", "disposition"), [(None, "inline"), (True, "attachment"), (False, "inline")])
def test_the_url_says_whether_the_file_is_a_download(name: str, as_attachment: bool | None, disposition: str) -> None:
    response = serve(sign(name, as_attachment=as_attachment))
    assert response.headers["Content-Disposition"].startswith(disposition)
    expires, _, signature = signature_of(sign(name, as_attachment=as_attachment)).split(".")
    for letter in {"", "a", "i"} - {{None: "", True: "a", False: "i"}[as_attachment]}:
        assert refused(serve(with_signature(sign(name), f"{expires}.{letter}.{signature}")))


def test_an_old_key_still_counts_while_it_is_a_fallback(name: str) -> None:
    with override_settings(SECRET_KEY="old"):
        url = sign(name)
    assert refused(serve(url))
    with override_settings(SECRET_KEY_FALLBACKS=["old"]):
        assert serve(url).status_code == 200


@pytest.mark.parametrize("max_age", [0, -1, timedelta(0)])
def test_a_url_cannot_be_expired_from_the_start(max_age: float | timedelta) -> None:
    with pytest.raises(ValueError, match="in the past"):
        sign("1.pdf", max_age)


def test_a_relayed_name_needs_no_session(name: str) -> None:
    # No middleware ran: there is neither a user nor a session.
    request = RequestFactory().get(sign(name))
    assert not hasattr(request, "user")
    assert db_serve_signed(request, name, storage=STORAGE, download_name="b.pdf").status_code == 200


@pytest.mark.usefixtures("set_time")
def test_the_alias_in_a_url_has_one_spelling(name: str) -> None:
    url = signed_url(STORAGE.url(name), name, base_url="/signed/", alias="other", row_alias="other", max_age=60)
    query = urlsplit(url).query
    granted = read_signature(query, name, base_url="/signed/", alias="default")
    assert granted is not None
    assert granted.row_alias == "other"
    spelled = query.replace("other", "%6Fther")
    assert read_signature(spelled, name, base_url="/signed/", alias="default") is None
