"""The default storage of Django's settings, and models whose rows have files."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import connection, transaction

from benchmarks.jobs import Job
from benchmarks.workers.site.databases import database_of

if TYPE_CHECKING:
    from benchmarks.workers.site.letters import Letter

LISTED = ["papers.Mention.data"]


class DjangoStore:
    """Whatever ``STORAGES["default"]`` is."""

    prefix = ""
    """What the storage wants before a file's name."""

    def connect(self, job: Job) -> None:
        settings.PG_LO_STORAGE_REFERENCES = LISTED if job.listed else []
        connection.settings_dict.update(database_of(job))
        connection.ensure_connection()

    def disconnect(self) -> None:
        connection.close()

    def backend(self) -> int:
        pid: int = connection.connection.info.backend_pid  # the same on both drivers
        return pid

    def chunks(self, name: str) -> Iterator[bytes | memoryview]:
        with default_storage.open(name) as file:
            yield from file.chunks()

    def read(self, name: str) -> bytes:
        with default_storage.open(name) as file:
            content: bytes = file.read()
            return content

    def export(self, name: str, path: str) -> None:
        with Path(path).open("wb") as target:
            target.writelines(self.chunks(name))

    def save(self, path: str) -> str:
        with Path(path).open("rb") as source:
            return default_storage.save(f"{self.prefix}file.bin", File(source))

    def delete(self, name: str) -> None:
        default_storage.delete(name)

    def save_rows(self, count: int, size: int) -> None:
        """Save so many rows, each with a file of so many bytes, in one transaction."""
        from benchmarks.workers.site.models import Paper

        contents = [os.urandom(size) for _ in range(count)]
        with transaction.atomic():
            for number, content in enumerate(contents):
                Paper.objects.create(title=str(number), data=ContentFile(content, name="file.bin"))


class OwnStore(DjangoStore):
    """pg_lo_storage of this checkout, which has a call of its own for exports, and files that follow their rows."""

    def __init__(self) -> None:
        self._made = list[int]()
        self._letters = list["Letter"]()

    def export(self, name: str, path: str) -> None:
        import pg_lo_storage

        pg_lo_storage.lo_export(connection.connection, int(name.partition(".")[0]), path)

    def make_rows(self, count: int, size: int) -> None:
        from benchmarks.workers.site.letters import Letter

        Letter.objects.filter(pk__in=self._made).delete()
        made = [Letter.objects.create(data=ContentFile(os.urandom(size), name="file.bin")) for _ in range(count)]
        self._made = [letter.pk for letter in made]
        self._letters = list(Letter.objects.filter(pk__in=self._made))

    def replace_row(self, size: int) -> None:
        letter = self._letters.pop()
        letter.data = ContentFile(os.urandom(size), name="file.bin")
        letter.save()

    def delete_row(self) -> None:
        self._letters.pop().delete()


class Predecessor(DjangoStore):
    """pg-lo-storage 0.2.2, which reads and saves in transactions only."""

    def chunks(self, name: str) -> Iterator[bytes | memoryview]:
        with transaction.atomic():
            yield from super().chunks(name)

    def read(self, name: str) -> bytes:
        with transaction.atomic():
            return super().read(name)

    def save(self, path: str) -> str:
        with transaction.atomic():
            return super().save(path)


class DbFileStorage(DjangoStore):
    """django-db-file-storage, whose names say where to put the file."""

    prefix = "papers.Blob/content/filename/mimetype/"


STORES = {"own": OwnStore, "predecessor": Predecessor, "db_file_storage": DbFileStorage}


def make_store(job: Job) -> DjangoStore:
    """Set Django up for the job's store, and return it."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.workers.site.settings"
    django.setup()
    # The driver and the storage are loaded when they are first used: here, before processes are forked.
    _ = connection.vendor, default_storage.__class__
    return STORES.get(job.store, DjangoStore)()
