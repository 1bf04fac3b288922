"""The examples of docs/statistics.md print what the page shows."""

import hashlib
import io
import re
import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from prometheus_client import CollectorRegistry, generate_latest

from pg_lo_storage.contrib.metrics import measure_for_prometheus
from pg_lo_storage.models import StoredFile
from tests.catalogue.support import run, uncatalogued
from tests.operations.support import Project

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")
CONSOLE = "".join(re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))
# What depends on the server: how it compresses, and what it has counted.
ON_DISK = re.compile(r"on disk: \S+ \S+ of pg_largeobject, for (\d+) objects.*")
FILES = [
    (40001, "plans.pdf", "application/pdf", 2048, "2024-01", "ann"),
    (40002, "photo.png", "image/png", 1024, "2024-03", "bob"),
    (40003, "letter.txt", "text/plain", 500, "2024-03", "ann"),
    (40004, "draft.txt", "text/plain", 24, "2024-03", None),
]


@pytest.fixture
def files() -> None:
    """The files of the page's project; sizes are in KB."""
    users = {name: User.objects.create_user(name).pk for name in ("ann", "bob")}
    for n, (oid, name, kind, size, month, owner) in enumerate(FILES, 1):
        uncatalogued(b"x" * size * 1024, oid)
        entry = StoredFile(loid=oid, extension=f".{name[-3:]}", original_name=name, content_type=kind)
        entry.sha256 = hashlib.sha256(b"x" * size * 1024).hexdigest()
        entry.size = size * 1024
        entry.created_at = entry.modified_at = datetime.fromisoformat(f"{month}-15T12:00:00Z")
        entry.save()
        if owner:
            run("insert into invoices_invoice (id, data, owner_id) values (%s, %s, %s)", n, entry.name, users[owner])


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("example", re.findall(r"^\$ python manage\.py (.*)\n((?:[^$\n].*\n)+)", CONSOLE, re.MULTILINE))
def test_an_example_prints_what_the_page_shows(example: tuple[str, str]) -> None:
    command, shown = example
    stdout = io.StringIO()
    call_command(*shlex.split(command), stdout=stdout)
    assert ON_DISK.sub(r"for \1 objects", stdout.getvalue()) == ON_DISK.sub(r"for \1 objects", shown)


def test_the_migration_makes_the_view_that_may_be_granted() -> None:
    [snippet] = re.findall(r"^```python\n(from django.db import mig.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    [grant] = re.findall(r"^```sql\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {"__name__": "invoices.migrations"}
    exec(snippet, namespace)
    [operation] = namespace["Migration"].operations
    project = Project()
    project.apply(operation)
    try:
        run(grant.replace("monitoring", "stranger"))
        names = [name for (name,) in run("select attname from pg_attribute where attnum > 0 and attrelid ="
            " 'pg_lo_storage_stats'::regclass order by attnum")]  # fmt: skip
    finally:
        project.reverse(operation)
    section = PAGE.partition("## For a role that monitors")[2]
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)))
    assert listed == names


def test_the_examples_for_monitoring_work(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    monkeypatch.setattr("prometheus_client.REGISTRY", registry)
    monkeypatch.setattr("pg_lo_storage.contrib.metrics.prometheus.REGISTRY", registry)
    snippets = re.findall(r"^```python\n((?!from django).*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(snippets) == 2
    for snippet in snippets:
        namespace = dict[str, Any]()
        exec(re.sub(r"^(measure|export)", r"stop = \1", snippet, flags=re.MULTILINE), namespace)
        namespace["stop"]()
    stop = measure_for_prometheus(registry)
    told = re.findall(r"^# TYPE pg_lo_storage_(\S+)", generate_latest(registry).decode(), re.MULTILINE)
    stop()
    section = PAGE.partition("## Prometheus and OpenTelemetry")[2].partition("\n## ")[0]
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`\w.*?) \|", section, flags=re.MULTILINE)))
    assert sorted(listed) == sorted(told)
