"""Build what is published, look at it, and use it as a stranger does: ``python -m tests.package``, with uv at hand.

The wheel and the source distribution come from ``uv build``. The wheel is installed by pip, of an index on this
machine, in an environment of its own; there README's quickstart runs as a project. It exits with 1 on any deviation.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from typing_extensions import override

from example.cluster import Server, open_server
from tests.run_all import ROOT, UV, environment

KINDS = {"py", "typed", "sql", "html"}
SETTINGS = """
SECRET_KEY = "quickstart"
ALLOWED_HOSTS = ["testserver"]
DATABASES = {{"default": {database!r}}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "pg_lo_storage", "shop"]
MIDDLEWARE = []
ROOT_URLCONF = "shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""
BEFORE = """
import django
django.setup()
from django.contrib.auth import get_user_model
from shop.models import *
user = get_user_model().objects.create(username="ann")
"""
AFTER = """
from django.test import RequestFactory
from django.urls import resolve
request = RequestFactory().get(f"/media/{invoice.data.name}")
request.user = user
view = resolve(request.path)
response = view.func(request, **view.kwargs)
assert response.status_code == 200, response.status_code
assert b"".join(response).startswith(b"%PDF")
"""


class Failure(Exception):
    """What is not as it should be."""


def run(*command: object, cwd: Path = ROOT, may_fail: bool = False, **variables: str) -> str:
    """Run a command and return what it prints."""
    words = [str(word) for word in command]
    everything = os.environ | {"UV_PYTHON_DOWNLOADS": "never"} | variables
    done = subprocess.run(words, cwd=cwd, env=everything, capture_output=True, text=True, check=False)
    if done.returncode and not may_fail:
        raise Failure(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def say(*lines: str) -> None:
    """Print the lines at once."""
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def build(folder: Path) -> Path:
    """Build the source distribution, and of it the wheel; see to what they contain."""
    run(UV, "build", "--out-dir", folder)
    (folder / ".gitignore").unlink(missing_ok=True)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    files = [entry.filename for entry in zipfile.ZipFile(wheel).infolist() if not entry.is_dir()]
    names = {name for name in files if ".dist-info/" not in name}
    expected = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*") if path.is_file()}
    expected = {name for name in expected if "/__pycache__/" not in name}
    if names ^ expected:
        raise Failure(f"the wheel has not the package's files, all of them and no more: {sorted(names ^ expected)}")
    kinds = {name.rpartition(".")[2] for name in names}
    if kinds != KINDS:
        raise Failure(f"the wheel has files of these kinds: {sorted(kinds)}")
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in files):
        raise Failure("the wheel lacks the licence")
    with tarfile.open(source) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    if missing := {"LICENSE", "README.md", "pyproject.toml", "CHANGELOG.md"} - sources:
        raise Failure(f"the source distribution lacks {sorted(missing)}")
    return wheel


def lint(folder: Path) -> None:
    """Ask those who know what an index takes."""
    tool = environment([], "package")
    files = sorted(folder.iterdir())
    run(*tool, "twine", "check", "--strict", *files)
    run(*tool, "check-wheel-contents", *folder.glob("*.whl"))


class _Quiet(SimpleHTTPRequestHandler):
    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def index(folder: Path, files: Path) -> Generator[str]:
    """Serve the files as an index of packages has them, and yield its address."""
    project = folder / "simple" / "pg-lo-storage"
    shutil.copytree(files, project)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple"
    finally:
        server.shutdown()
        server.server_close()


def install(folder: Path, files: Path, wheel: Path) -> Path:
    """Install the wheel as from PyPI, by pip, where nothing else is installed; return that environment's Python."""
    version = wheel.name.split("-")[1]
    run(sys.executable, "-m", "venv", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    (folder / "home").mkdir()
    with index(folder / "index", files) as url:
        wanted = f"pg-lo-storage[django,psycopg]=={version}"
        pip = [python, "-m", "pip", "install", "--quiet", "--extra-index-url", url]
        run(*pip, wanted, cwd=folder, HOME=str(folder / "home"))
    shown = run(python, "-m", "pg_lo_storage", cwd=folder)
    if version not in shown:
        raise Failure(f"python -m pg_lo_storage does not tell the version {version}:\n{shown}")
    return python


def quickstart(python: Path, folder: Path, server: Server) -> None:
    """Run README's quickstart in a new project."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## Quickstart")[2]
    snippets = re.findall(r"^```python\n(.*?)^```", section.partition("\n## ")[0], flags=re.MULTILINE | re.DOTALL)
    (models,) = (snippet for snippet in snippets if "models.Model" in snippet)
    (urls,) = (snippet for snippet in snippets if "urlpatterns" in snippet)
    used = [snippet for snippet in snippets if snippet not in (models, urls)]
    shop = folder / "shop"
    shop.mkdir(parents=True)
    (shop / "__init__.py").touch()
    (shop / "models.py").write_text(models)
    (shop / "urls.py").write_text("from shop.models import *\n" + urls)
    (folder / "settings.py").write_text(SETTINGS.format(database=server.django_database()))
    (folder / "quickstart.py").write_text("".join([BEFORE, *used, AFTER]))
    for command in (["-m", "django", "makemigrations", "shop"], ["-m", "django", "migrate"], ["quickstart.py"]):
        run(python, *command, cwd=folder, DJANGO_SETTINGS_MODULE="settings", PYTHONPATH=str(folder))


def main() -> int:
    """Do it all, and print the first deviation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the files there")
    keep: Path | None = parser.parse_args().keep
    with tempfile.TemporaryDirectory(prefix="pg-lo-package-") as name:
        folder = Path(name)
        files = folder / "dist"
        try:
            wheel = build(files)
            lint(files)
            python = install(folder, files, wheel)
            with open_server() as server:
                quickstart(python, folder / "project", server)
        except Failure as error:
            say(str(error))
            return 1
        if keep:
            shutil.copytree(files, keep, dirs_exist_ok=True)
        say(*(path.name for path in sorted(files.iterdir())), "installed, and README's quickstart ran")
    return 0


if __name__ == "__main__":
    sys.exit(main())
