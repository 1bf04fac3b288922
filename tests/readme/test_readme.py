"""Every Python snippet of README.md, and of the pages that go on from it, runs and does what the text says."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection
from django.db.migrations.state import ProjectState
from django.http import HttpResponse
from django.test import RequestFactory

from example.cluster import Server
from tests.fixtures.connections import INSTALLED

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
# Where the files of README.md are, for who reads it elsewhere.
REPOSITORY = "https://github.com/bibenga/pg-lo-storage/blob/main/"
RAW = "https://raw.githubusercontent.com/bibenga/pg-lo-storage/main/"


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def snippets_of(text: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def quickstart(heading: str) -> list[str]:
    """Return the snippets of a section of README.md."""
    _, _, text = README.read_text(encoding="utf-8").partition(f"\n## Quickstart: {heading}\n")
    return snippets_of(text.partition("\n## ")[0])


def run(snippet: str, namespace: dict[str, Any]) -> None:
    exec(compile(snippet, str(README), "exec"), namespace)


@pytest.fixture
def on_the_server(server: Server) -> Callable[[str], str]:
    """Have a snippet connect to the tests' server, with the driver that is installed."""

    def adapt(snippet: str) -> str:
        adapted = snippet.replace('"dbname=app"', repr(server.dsn()))
        return (
            adapted if "psycopg" in INSTALLED else adapted.replace("import psycopg\n", "import psycopg2 as psycopg\n")
        )

    return adapt


@pytest.fixture
def namespace() -> Iterator[dict[str, Any]]:
    """The snippets' module, in this app; the models it defines are forgotten again."""
    yield {"__name__": "tests.readme.snippets"}
    apps.all_models["readme"].clear()
    apps.clear_cache()


@pytest.fixture
def invoice_model(namespace: dict[str, Any]) -> Iterator[type[Any]]:
    """The model of the quickstart, with a table."""
    run(quickstart("a Django model")[0], namespace)
    model: type[Any] = namespace["Invoice"]
    with connection.schema_editor() as editor:
        editor.create_model(model)
    yield model
    with connection.schema_editor() as editor:
        editor.delete_model(model)


@pytest.fixture
def triggers(
    namespace: dict[str, Any],
    invoice_model: object,  # noqa: ARG001 -- its table
) -> Iterator[None]:
    """What the migration of the section on rows installs."""
    run(snippets_of(page("rows"))[0], namespace)
    project = ProjectState.from_apps(apps)
    [operation] = namespace["Migration"].operations
    with connection.schema_editor() as editor:
        operation.database_forwards("readme", editor, project, project)
    yield
    with connection.schema_editor() as editor:
        operation.database_backwards("readme", editor, project, project)


@pytest.mark.django_db(transaction=True)
def test_django_model(
    namespace: dict[str, Any], invoice_model: type[Any], rf: RequestFactory, large_objects: Callable[..., set[int]]
) -> None:
    _, use, replace, serve = quickstart("a Django model")
    _, batches = snippets_of(page("rows"))
    (prefetch,) = snippets_of(page("catalogue"))
    owner = User.objects.create_user("owner")
    namespace["user"] = owner
    run(use, namespace)
    assert len(large_objects()) == 1
    run(replace, namespace)
    assert len(large_objects()) == 1
    run(serve, namespace)
    (pattern,) = namespace["urlpatterns"]
    name = invoice_model.objects.get().data.name
    match = pattern.resolve(f"media/{name}")
    request = rf.get(f"/media/{name}")
    request.user = owner
    response = match.func(request, **match.kwargs)
    assert isinstance(response, HttpResponse)
    assert response.content == b"%PDF-1.7 corrected"
    assert response.headers["ETag"]
    for other in (User.objects.create_user("stranger"), AnonymousUser()):
        request.user = other
        assert match.func(request, **match.kwargs).status_code == 404
    run(prefetch, namespace)
    run(batches, namespace)
    assert not large_objects()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("triggers")
def test_triggers(invoice_model: type[Any], large_objects: Callable[..., set[int]]) -> None:
    owner = User.objects.create_user("owner")
    for _ in range(2):
        invoice_model.objects.create(owner=owner, data=ContentFile(b"content", name="a.pdf"))
    invoice_model.objects.filter(pk=invoice_model.objects.first().pk).update(data="")
    assert len(large_objects()) == 1
    with connection.cursor() as cursor:
        cursor.execute(f"truncate {invoice_model._meta.db_table}")
    assert not large_objects()


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_commands() -> None:
    commands = re.findall(r"^\$ python manage\.py (.*)$", page("catalogue"), flags=re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        name, *arguments = command.replace("invoices.Scan.file_name", "invoices.Note.text").split()
        call_command(name, *arguments, verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_file() -> None:
    (snippet,) = snippets_of(page("files"))
    run(snippet, {})


def test_psycopg(on_the_server: Callable[[str], str], capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {}
    low_level, *_ = snippets_of(page("own-driver"))
    for snippet in (*quickstart("psycopg without Django"), low_level):
        run(on_the_server(snippet), namespace)
    assert capsys.readouterr().out == "38 bytes\n"


def test_a_driver_of_ones_own(on_the_server: Callable[[str], str], count_large_objects: Callable[..., int]) -> None:
    _, driver, _ = snippets_of(page("own-driver"))
    run(on_the_server(driver), {})
    assert count_large_objects() == 1


@pytest.mark.once
def test_conformance(on_the_server: Callable[[str], str], tmp_path: Path) -> None:
    _, driver, kit = snippets_of(page("own-driver"))
    (tmp_path / "test_logging.py").write_text(on_the_server(driver) + on_the_server(kit))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-p", "no:cacheprovider", "test_logging.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert re.search(r"^\d{3} passed", done.stdout, flags=re.MULTILINE), done.stdout[-2000:]
    assert done.returncode == 0


def test_testing() -> None:
    (snippet,) = snippets_of(page("testing"))
    run(snippet, {})


def test_no_snippet_is_left_out() -> None:
    assert len(snippets_of(README.read_text(encoding="utf-8"))) == sum(
        len(quickstart(heading)) for heading in ("a Django model", "psycopg without Django")
    )


def test_every_page_with_a_snippet_has_a_test_of_it() -> None:
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    for path in DOCS.glob("*.md"):
        if "```python" in path.read_text(encoding="utf-8"):
            named = re.compile(rf"""page\("{path.stem}"\)|"{path.name}"|docs/{re.escape(path.name)}""")
            assert any(named.search(text) for text in tests), path.name


def test_every_link_leads_somewhere() -> None:
    for source in [README, *DOCS.glob("*.md")]:
        links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", source.read_text(encoding="utf-8"))
        for target, fragment in links:
            found = source.parent / target if target else source
            assert found.is_file(), f"{source.name}: {target}"
            assert not fragment or fragment in anchors(found), f"{source.name}: {target}#{fragment}"


def test_readme_links_to_every_page_by_urls_that_hold_on_a_package_index() -> None:
    text = README.read_text(encoding="utf-8")
    links = re.findall(r"""(?:\]\(|src=")([^)"]+)[)"]""", text)
    assert [link for link in links if not link.startswith("https://")] == []
    ours = [link.removeprefix(REPOSITORY) for link in links if link.startswith(REPOSITORY)]
    for target, _, fragment in (link.partition("#") for link in ours):
        assert (ROOT / target).is_file(), target
        assert not fragment or fragment in anchors(ROOT / target), f"{target}#{fragment}"
    assert {f"docs/{path.name}" for path in DOCS.glob("*.md")} - set(ours) == set()
    pictures = [link.removeprefix(RAW) for link in links if link.startswith(RAW)]
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_readme_and_metadata_name_one_repository() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    assert f"{urls['Repository']}/blob/main/" == REPOSITORY


def anchors(page: Path) -> set[str]:
    """Return what a page's headings are linked by."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
