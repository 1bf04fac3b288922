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
from django.db import connection
from django.http import Http404, HttpResponse
from django.test import RequestFactory

from example.cluster import Server
from tests.fixtures.connections import INSTALLED

README = Path(__file__).parents[2] / "README.md"


def snippets_of(heading: str) -> list[str]:
    sections = re.split(r"^## ", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (section,) = [text for text in sections if text.startswith(heading)]
    return re.findall(r"^```python\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)


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


@pytest.mark.django_db(transaction=True)
def test_django_model(namespace: dict[str, Any], rf: RequestFactory, large_objects: Callable[..., set[int]]) -> None:
    model, use, replace, serve = snippets_of("Quickstart: a Django model")
    (batches,) = snippets_of("Files and their rows")
    (prefetch,) = snippets_of("The catalogue")
    run(model, namespace)
    invoice_model = namespace["Invoice"]
    owner = User.objects.create_user("owner")
    with connection.schema_editor() as editor:
        editor.create_model(invoice_model)
    try:
        namespace["user"] = owner
        run(use, namespace)
        assert len(large_objects()) == 1
        run(replace, namespace)
        assert len(large_objects()) == 1
        run(serve, namespace)
        name = invoice_model.objects.get().data.name
        request = rf.get(f"/media/{name}")
        request.user = owner
        response = namespace["serve_invoice"](request, filename=name)
        assert isinstance(response, HttpResponse)
        assert response.content == b"%PDF-1.7 corrected"
        request.user = User.objects.create_user("stranger")
        with pytest.raises(Http404):
            namespace["serve_invoice"](request, filename=name)
        request.user = AnonymousUser()
        assert namespace["serve_invoice"](request, filename=name).status_code == 302
        run(prefetch, namespace)
        run(batches, namespace)
        assert not large_objects()
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(invoice_model)


@pytest.mark.django_db(transaction=True)
def test_file() -> None:
    (snippet,) = snippets_of("Quickstart: the file")
    run(snippet, {})


@pytest.mark.parametrize("heading", ["Quickstart: psycopg without Django", "Quickstart: a driver of your own"])
def test_without_django(
    heading: str, on_the_server: Callable[[str], str], count_large_objects: Callable[..., int]
) -> None:
    run(on_the_server(snippets_of(heading)[0]), {})
    assert count_large_objects() == 1


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
        "Quickstart: the file",
        "Quickstart: psycopg without Django",
        "Quickstart: a driver of your own",
        "Files and their rows",
        "The catalogue",
        "Testing your code",
    ]
    assert README.read_text(encoding="utf-8").count("```python") == sum(len(snippets_of(name)) for name in tested)
