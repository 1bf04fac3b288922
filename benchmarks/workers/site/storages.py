"""Storages that are made of Django alone."""

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage

from benchmarks.workers.site.models import Blob

if TYPE_CHECKING:
    from django.core.files.base import File


class ByteaStorage(Storage):
    """Keeps each file in a ``BinaryField``; a name is a row's key."""

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":  # noqa: ARG002 -- Django's signature
        return ContentFile(bytes(Blob.objects.values_list("content", flat=True).get(pk=int(name))))

    def _save(self, name: str, content: "IO[bytes]") -> str:
        return str(Blob.objects.create(filename=name, content=content.read()).pk)

    def exists(self, name: str) -> bool:
        return name.isdecimal() and Blob.objects.filter(pk=int(name)).exists()

    def delete(self, name: str) -> None:
        Blob.objects.filter(pk=int(name)).delete()


class SyncedStorage(FileSystemStorage):
    """Files on disk, which a crash does not lose once they are saved: as durable as what a database commits."""

    def save(
        self, name: str | None, content: "File[bytes] | File[str] | IO[bytes] | IO[str]", max_length: int | None = None
    ) -> str:
        """Save it, and have the disk keep the file and its entry in the folder."""
        saved = super().save(name, content, max_length)
        path = Path(self.path(saved))
        for entry in (path, path.parent):
            descriptor = os.open(entry, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return saved
