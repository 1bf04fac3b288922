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
from pathlib import Path

import httpx
import pytest
from django.core.files.base import ContentFile

from pg_lo_storage.signing import signed_url
from pg_lo_storage.storage import db_file_storage
from tests.serving.downloads import MEGABYTE, digest_of, save
from tests.serving.servers import ROOT, WebServer, serving

pytestmark = [pytest.mark.server_tools, pytest.mark.django_db(transaction=True)]

CATALOGUE = [True]
DOCUMENTATION = ROOT / "docs" / "serving.md"
CHROMIUM = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--timeout=20000"]
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
    printed = run(*CHROMIUM, f"--user-data-dir={profile}", "--dump-dom", url)
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


def test_a_browser_plays_from_anywhere(web: WebServer, tmp_path: Path) -> None:
    name = db_file_storage.save("a.wav", ContentFile(a_long_sound()))
    page = tmp_path / "page.html"
    page.write_text(PAGE.format(url=f"{web.url}/files/{name}"))
    assert 'data-result="played"' in browse(tmp_path / "profile", page.as_uri())


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


@pytest.fixture
def link() -> Callable[[str], str]:
    def link(name: str) -> str:
        return signed_url(f"/signed/{name}", name, base_url="/signed/", alias="default", max_age=3600)

    return link


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
        db_file_storage.delete(name)
        assert until(lambda: client.get(url), lambda response: response.status_code != 200).status_code == 404
