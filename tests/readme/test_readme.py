"""Every Python snippet of README.md runs, in its order, and does what the text says."""

import re
import subprocess
import sys
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


def sections() -> dict[str, str]:
    """Return the text of each section, by its heading."""
    texts = re.split(r"^## (.+)\n", README.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def snippets_of(heading: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", sections()[heading], flags=re.MULTILINE | re.DOTALL)


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
    run(snippets_of("Quickstart: a Django model")[0], namespace)
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
    run(snippets_of("Files and their rows")[0], namespace)
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
    _, use, replace, serve = snippets_of("Quickstart: a Django model")
    _, batches = snippets_of("Files and their rows")
    (prefetch,) = snippets_of("The catalogue")
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
    section = sections()["The catalogue"]
    commands = re.findall(r"^\$ python manage\.py (.*)$", section, flags=re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        name, *arguments = command.replace("invoices.Scan.file_name", "invoices.Note.text").split()
        call_command(name, *arguments, verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_file() -> None:
    (snippet,) = snippets_of("Quickstart: the file")
    run(snippet, {})


def test_psycopg(on_the_server: Callable[[str], str], capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {}
    for snippet in snippets_of("Quickstart: psycopg without Django"):
        run(on_the_server(snippet), namespace)
    assert capsys.readouterr().out == "38 bytes\n"


def test_a_driver_of_ones_own(on_the_server: Callable[[str], str], count_large_objects: Callable[..., int]) -> None:
    run(on_the_server(snippets_of("Quickstart: a driver of your own")[0]), {})
    assert count_large_objects() == 1


@pytest.mark.once
def test_conformance(on_the_server: Callable[[str], str], tmp_path: Path) -> None:
    driver, kit = snippets_of("Quickstart: a driver of your own")
    (tmp_path / "test_logging.py").write_text(on_the_server(driver) + on_the_server(kit))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-p", "no:cacheprovider", "test_logging.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert re.search(r"^\d{3} passed", done.stdout, flags=re.MULTILINE), done.stdout[-2000:]
    assert done.returncode == 0


def test_testing() -> None:
    (snippet,) = snippets_of("Testing your code")
    run(snippet, {})


def test_no_snippet_is_left_out() -> None:
    tested = [
        "Quickstart: a Django model",
        "Files and their rows",
        "The catalogue",
        "Quickstart: the file",
        "Quickstart: psycopg without Django",
        "Quickstart: a driver of your own",
        "Testing your code",
    ]
    assert README.read_text(encoding="utf-8").count("```python") == sum(len(snippets_of(name)) for name in tested)


def test_every_link_leads_somewhere() -> None:
    pages = [README, *sorted((ROOT / "docs").glob("*.md"))]
    for page in pages:
        links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8"))
        for target, fragment in links:
            found = page.parent / target if target else page
            assert found.is_file(), f"{page.name}: {target}"
            assert not fragment or fragment in anchors(found), f"{page.name}: {target}#{fragment}"
    in_readme = {
        target for target, _ in re.findall(r"\]\((docs/[^)#]+)(#[^)]+)?\)", README.read_text(encoding="utf-8"))
    }
    assert {str(page.relative_to(ROOT)) for page in pages[1:]} <= in_readme


def anchors(page: Path) -> set[str]:
    """Return what a page's headings are linked by."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
