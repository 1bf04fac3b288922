"""docs/tutorial.md: its files and commands, as they are printed, make a site of private files."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from example.cluster import Server
from tests.fixtures.connections import INSTALLED, open_connection

pytestmark = [pytest.mark.once, pytest.mark.timeout(400)]  # a site is made and started

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
# A file's name and content, or the name of a language and what is to be run.
STEPS = re.findall(r"(?:(?:end of|In) `(\S+)`:\n\n)?^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PDF = b"%PDF-1.7 of ada"


def test_nothing_is_left_out() -> None:
    assert len(STEPS) == PAGE.count("```") // 2
    [install] = re.findall(r"^\$ pip install .*", PAGE, re.MULTILINE)
    assert install in (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def variables(server: Server) -> Iterator[dict[str, str]]:
    """The environment of a reader who may create databases; this one is made for him."""
    if "postgres" not in server.roles:
        pytest.skip("the server's superuser makes the database")
    with closing(open_connection(INSTALLED[0], server.dsn(user="postgres"), autocommit=True)) as connection:
        connection.cursor().execute("create database office owner app")
        parameters = server.parameters("office")
        yield {
            **{name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            **{f"PG{name.upper()}": value for name, value in parameters.items() if name in {"host", "port", "user"}},
        }
        connection.cursor().execute("drop database office with (force)")


def run(command: str, folder: Path, variables: dict[str, str], stdin: str = "") -> str:
    """Run a line of the page, and return what it prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=variables | {"PATH": path},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def serving(folder: Path, variables: dict[str, str]) -> Generator[str]:
    """Have the site started, on a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    with subprocess.Popen(
        argv, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as site:
        try:
            while True:
                assert site.poll() is None
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            site.terminate()


def sign_in(client: httpx.Client, name: str) -> httpx.Response:
    page = client.get("/")
    assert "Sign in" in page.text
    return post(client, page.url.path, data={"username": name, "password": "enigma", "next": "/"})


def post(
    client: httpx.Client,
    path: str,
    data: dict[str, str] | None = None,
    files: dict[str, tuple[str, bytes, str]] | None = None,
) -> httpx.Response:
    token = {"csrfmiddlewaretoken": client.cookies["csrftoken"]}
    return client.post(path, data=token | (data or {}), files=files)


def use(url: str) -> None:
    """Do what the page tells the reader to do in his browser."""
    with httpx.Client(base_url=url, follow_redirects=True) as client:
        assert "Papers of ada" in sign_in(client, "ada").text
        page = post(client, "/", files={"file": ("march.pdf", PDF, "application/pdf")})
        [(link, name)] = re.findall(r'<a href="([^"]+)">([^<]+)</a>, 15\xa0bytes', page.text)
        assert name == "march.pdf"
        assert client.get(link).content == PDF
        assert client.get(link).headers["Content-Disposition"].startswith("inline")
        assert client.get(link, headers={"Range": "bytes=0-3"}).content == b"%PDF"
        assert post(client, "/accounts/logout/").status_code == 200
        assert client.get(link).status_code == 404
    with httpx.Client(base_url=url, follow_redirects=True) as client:
        assert "march.pdf" not in sign_in(client, "bob").text
        assert client.get(link).status_code == 404


def test_a_site_of_private_files(variables: dict[str, str], tmp_path: Path) -> None:
    printed: dict[str, str] = {}
    for name, language, text in STEPS:
        if name:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text((path.read_text() if name.endswith("settings.py") else "") + text)
        elif language == "python":
            assert "march.pdf is still there: True" in run("python manage.py shell", tmp_path, variables, text)
        else:
            for command in re.findall(r"^\$ (.*)", text, re.MULTILINE):
                if command == "python manage.py runserver":
                    with serving(tmp_path, variables) as url:
                        use(url)
                elif not command.startswith(("python -m venv", "pip install", "createdb ")):
                    printed[command] = run(command, tmp_path, variables)
    assert "no issues" in printed["python manage.py check --database default"]
    assert "0 files" in printed["python manage.py largeobjects stats"]
    assert "march" not in printed["python manage.py largeobjects check"]
