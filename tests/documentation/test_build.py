"""Sphinx makes the documentation without a warning; it has every public name, and no link that leads nowhere."""

import os
import re
import subprocess
import sys
import zlib
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from typing_extensions import override

pytestmark = pytest.mark.timeout(600)  # the first of them builds

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md"))


class Links(HTMLParser):
    """What a page of HTML links to, and what can be linked to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.ids: set[str] = set()
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.add(values.get("id") or "")
        self.targets.update(values.get(name) or "" for name in ("href", "src"))


@cache
def links(path: Path) -> Links:
    """Parse a page once."""
    return Links(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("html")
    argv = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-d", f"{folder}.trees", "docs"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*argv, str(folder)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def names(inventory: Path) -> set[str]:
    """Return the Python names that an inventory of Sphinx's has."""
    *_, compressed = inventory.read_bytes().split(b"\n", 4)
    lines = zlib.decompress(compressed).decode().splitlines()
    return {line.split()[0] for line in lines if " py:" in line}


def test_every_public_name_is_in_the_reference(built: Path) -> None:
    api = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    modules = re.findall(r"^### `(pg_lo_storage[\w.]*)`$(.*?)(?=^##|\Z)", api, flags=re.MULTILINE | re.DOTALL)
    assert len(modules) > 15
    # What two modules have is described in one of them.
    public = {
        f"{module}.{name}"
        for module, text in modules
        for name, line in re.findall(r"^\| `(\w+)` \| (.*) \|$", text, flags=re.MULTILINE)
        if not line.startswith(("as above", "also in "))
    }
    assert public - names(built / "objects.inv") == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_link_of_a_page_leads_nowhere(page: Path, built: Path) -> None:
    path = built / page.with_suffix(".html")
    for target in links(path).targets - {""}:
        url = urlsplit(target)
        if url.scheme or url.netloc:
            continue
        found = path.parent / unquote(url.path) if url.path else path
        assert found.exists(), target
        if url.fragment:
            assert unquote(url.fragment) in links(found).ids, target


def test_every_link_into_the_repository_is_to_what_is_there(built: Path) -> None:
    for page in PAGES:
        text = (built / page.with_suffix(".html")).read_text(encoding="utf-8")
        for path in re.findall(r"https://github\.com/bibenga/pg-lo-storage/(?:blob|tree)/main/([^\"#?]+)", text):
            assert (ROOT / path).exists(), f"{page}: {path}"
