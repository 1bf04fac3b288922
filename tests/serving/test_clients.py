"""Programs that people download with: curl, wget, a browser, and nginx in front of them."""

import io
import os
import re
import shutil
import socket
import subprocess
import time
import wave
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.test import Client

from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import db_file_storage
from pg_lo_storage.storage.signing import signed_url
from tests.invoices.models import Invoice
from tests.serving.browser import CHROMIUM, browser
from tests.serving.downloads import MEGABYTE, digest_of, save
from tests.serving.servers import ROOT, WebServer, serving

pytestmark = [pytest.mark.server_tools, pytest.mark.django_db(transaction=True)]

CATALOGUE = [True]
DOCUMENTATION = ROOT / "docs" / "serving.md"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
# The page counts as loading, and its document is not printed, until the frame is closed.
PAGE = """
<iframe></iframe>
<video muted src="{url}"></video>
<script>
  const video = document.querySelector("video"), frame = document.querySelector("iframe").contentDocument;
  frame.open();
  function say(text) {{ document.body.dataset.result = text; frame.close(); }}
  video.onerror = () => say("error " + video.error.message);
  video.onloadedmetadata = () => video.currentTime = 0.9 * video.duration;
  video.onseeked = () => video.play();
  video.ontimeupdate = () => video.currentTime > 0.9 * video.duration && say("played");
</script>
"""


@pytest.fixture(params=["gunicorn-gthread", "uvicorn"])
def web(request: pytest.FixtureRequest) -> Iterator[WebServer]:
    with serving(request.param) as web:
        yield web


@pytest.fixture
def link() -> Callable[[str], str]:
    def link(name: str) -> str:
        return signed_url(f"/signed/{name}", name, base_url="/signed/", alias="default", max_age=3600)

    return link


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def digest_of_file(path: Path) -> str:
    return digest_of([path.read_bytes()])


def test_curl_continues_a_download(web: WebServer, tmp_path: Path) -> None:
    name, digest = save(5)
    target, url = tmp_path / "file", f"{web.url}/files/{name}"
    run("curl", "-sS", "-f", "-r", f"0-{MEGABYTE}", "-o", target, url)
    assert target.stat().st_size == MEGABYTE + 1
    run("curl", "-sS", "-f", "-C", "-", "-o", target, url)
    assert digest_of_file(target) == digest


def test_curl_asks_for_several_parts_and_for_what_is_new(web: WebServer, tmp_path: Path) -> None:
    name, _ = save(1)
    url = f"{web.url}/files/{name}"
    parts = tmp_path / "parts"
    run("curl", "-sS", "-f", "-r", "0-9,100-109", "-o", parts, url)
    assert parts.read_bytes().count(b"Content-Range: bytes ") == 2
    etags = tmp_path / "etags"
    comparing = ("--etag-save", str(etags), "--etag-compare", str(etags))
    said = [run("curl", "-sS", "-f", *comparing, "-w", "%{http_code}", "-o", tmp_path / "a", url) for _ in range(2)]
    assert said == ["200", "304"]


def test_curl_takes_the_offered_name(web: WebServer, tmp_path: Path) -> None:
    name = db_file_storage.save("a b.zip", ContentFile(b"data"))
    run("curl", "-sS", "-f", "-OJ", "--output-dir", tmp_path, f"{web.url}/files/{name}")
    [path] = tmp_path.iterdir()
    assert path.read_bytes() == b"data"
    assert path.name == "a b.zip"


def test_wget_continues_a_download(web: WebServer, tmp_path: Path) -> None:
    name, digest = save(5)
    target, url = tmp_path / "file", f"{web.url}/files/{name}"
    target.write_bytes(httpx.get(url, headers={"range": "bytes=0-999999"}).content)
    run("wget", "-c", "-O", target, url)
    assert digest_of_file(target) == digest


def browse(profile: Path, url: str) -> str:
    """Return the document that a browser makes of the answer, and what it complains about."""
    printed = run(
        *CHROMIUM, "--enable-logging=stderr", "--timeout=80000", f"--user-data-dir={profile}", "--dump-dom", url
    )
    assert not re.search(r"CONSOLE.*(Refused|blocked|violates)", printed), printed
    return printed


def a_long_sound() -> bytes:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(bytes(2 * 44_100 * 240))
    return sound.getvalue()


@pytest.mark.once
@pytest.mark.parametrize("kind", ["session", "signed"])
@pytest.mark.parametrize("page_is", ["of the site", "of another"])
def test_a_browser_plays_from_anywhere_in_it(
    web: WebServer, tmp_path: Path, link: Callable[[str], str], kind: str, page_is: str
) -> None:
    name = db_file_storage.save("a.wav", ContentFile(a_long_sound()))
    path = link(name) if kind == "signed" else f"/files/{name}"
    html, page = PAGE.format(url=f"{web.url}{path}"), tmp_path / "page.html"
    page.write_text(html)
    url = page.as_uri() if page_is == "of another" else f"{web.url}/page/?{urlencode({'html': html})}"
    # Only what a URL gives the right to is for other sites.
    played = kind == "signed" or page_is == "of the site"
    assert ('data-result="played"' in browse(tmp_path / "profile", url)) == played


@pytest.mark.once
@pytest.mark.parametrize("kept", [True, False])
def test_a_browser_shows_nothing_that_was_revoked(web: WebServer, tmp_path: Path, kept: bool) -> None:
    owner, client = User.objects.create_user("owner"), Client()
    client.force_login(owner)
    invoice = Invoice.objects.create(owner=owner, data=ContentFile(b"the record", name="a.txt"))
    # By its date a browser would take it for fresh, for days.
    StoredFile.objects.update(created_at=LONG_AGO, modified_at=LONG_AGO)
    url = f"{web.url}/{'mine' if kept else 'unkept'}/{invoice.data.name}"
    with browser(tmp_path) as tab:
        tab.log_in(web.url, client.cookies["sessionid"].value)
        # What another site led to is kept apart from what the site's own pages lead to.
        tab.go(f"{web.url}/page/?html=before")
        assert tab.go(url) == "the record"
        assert tab.go(f"{web.url}/page/?html=after") == "after"
        Invoice.objects.update(owner=None)
        if kept:
            # By Back browsers show what was there, and ask for nothing: that takes "no-store".
            assert "HTTP ERROR 404" in tab.go(url)
        else:
            assert "HTTP ERROR 404" in tab.back()


@pytest.mark.parametrize(
    ("original", "content", "shown"),
    [
        ("a.wav", a_long_sound(), "<video"),
        ("a.pdf", b"%PDF-1.4\n%%EOF", "rgb(40,40,40)"),  # its viewer's
        ("a.txt", b"plain <b>text", "plain &lt;b&gt;text"),
    ],
)
def test_a_browser_shows_what_is_passive(
    web: WebServer, tmp_path: Path, original: str, content: bytes, shown: str
) -> None:
    name = db_file_storage.save(original, ContentFile(content))
    assert shown in browse(tmp_path / "profile", f"{web.url}/files/{name}")


@contextmanager
def nginx(folder: Path, upstream: int) -> Generator[str]:
    """Run nginx with the configuration of docs/serving.md, on other ports and in another folder."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "install nginx"
    [configuration] = re.findall(r"^```nginx\n(.*?)^```", DOCUMENTATION.read_text(), re.MULTILINE | re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    changed = configuration.replace("listen 80;", f"listen 127.0.0.1:{port};").replace(":8000;", f":{upstream};")
    changed = changed.replace("/var/cache/nginx", str(folder)).replace("/links/", "/signed/")
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {paths}\n{changed}}}"
    )
    process = subprocess.Popen([program, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"])
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "error.log").read_text()
                assert time.monotonic() < deadline
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def until(ask: Callable[[], httpx.Response], is_it: Callable[[httpx.Response], bool]) -> httpx.Response:
    """Ask again, for nginx counts seconds by its own clock."""
    deadline = time.monotonic() + 30
    while not is_it(response := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return response


def test_nginx_keeps_files_and_asks_django_whether_they_may_be_read(
    web: WebServer, tmp_path: Path, link: Callable[[str], str]
) -> None:
    name, digest = save(3)
    with nginx(tmp_path, web.port) as front, httpx.Client(base_url=front) as client:
        url = link(name)
        whole = client.get(url)
        assert digest_of([whole.content]) == digest
        assert whole.headers["x-cache-status"] == "MISS"
        kept = until(lambda: client.get(url), lambda response: response.headers["x-cache-status"] != "HIT")
        assert kept.headers["x-cache-status"] == "REVALIDATED"
        assert kept.content == whole.content
        part = client.get(url, headers={"range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, whole.content[5:10])
        assert client.get(f"/signed/{name}").status_code == 403
        # One file has one place, however its URL is spelled; and no other place is that of a valid one.
        until(lambda: client.get(url), lambda response: response.headers["x-cache-status"] == "HIT")
        entries = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
        spelled = f"{front}/signed/%3{name[0]}{name[1:]}?{url.partition('?')[2]}"
        assert digest_of([client.get(spelled).content]) == digest
        assert client.get(url.replace("?", "%3F")).status_code == 403
        assert client.get(f"{url}&a=b").status_code == 403
        assert [path for path in (tmp_path / "files").rglob("*") if path.is_file()] == entries
        db_file_storage.delete(name)
        assert until(lambda: client.get(url), lambda response: response.status_code != 200).status_code == 404
