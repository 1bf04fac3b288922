"""The steps of a pass: files are kept, rolled back, served and deleted, over the driver that Django has here."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import IO, TYPE_CHECKING

from django.contrib.auth.models import User
from django.core.files import File
from django.core.files.base import ContentFile
from django.db import connection, transaction
from typing_extensions import override

from example.demo.files import Source
from example.demo.report import Bar, Report, Step, progress
from example.demo.web import Visitor, blocks
from example.project.models import Invoice
from example.webserver import WebServer

if TYPE_CHECKING:
    BinaryFile = File[bytes]
else:
    BinaryFile = File


class Journey:
    """One pass over the files; what is wrong goes into the report."""

    def __init__(self, report: Report, web: WebServer) -> None:
        self._report = report
        self._web = web
        self._passwords = {name: secrets.token_urlsafe() for name in ("owner", "stranger")}
        self._users = {
            name: User.objects.create_user(name, password=password) for name, password in self._passwords.items()
        }

    def run(self, sources: list[Source]) -> None:
        self._report.start_files()
        kept = [(source, key) for source in sources if (key := self._keep(source)) is not None]
        if not kept:
            return
        # One file goes through the other steps: the largest shows most.
        source, key = max(kept, key=lambda pair: pair[0].size)
        self._report.start_steps(source.label)
        self._replace_and_roll_back(source, key)
        self._delete_and_roll_back(source, key)
        path = Invoice.objects.get(pk=key).data.url
        owner = Visitor(self._web.port)
        self._log_in(owner, path)
        self._download_whole(owner, path, source)
        self._download_in_part(owner, path, source)
        self._refuse_a_stranger(path)
        self._delete(owner, path, key)

    def _keep(self, source: Source) -> int | None:
        key: int | None = None
        with self._report.file(source) as step, closing(progress(source.label, 2 * source.size)) as bar:
            with source.path.open("rb") as file, transaction.atomic():
                data = WatchedFile(file, source.path.name, bar)
                invoice = Invoice.objects.create(owner=self._users["owner"], data=data)
            step.oid = invoice.data.loid
            step.same("sha256 in the catalogue", invoice.data.sha256, source.sha256)
            key = int(invoice.pk)
            _compare(step, key, source, bar)
        return key

    def _replace_and_roll_back(self, source: Source, key: int) -> None:
        with self._report.step("replace, roll back: name and content as before") as step:
            before = Invoice.objects.get(pk=key).data.name
            with transaction.atomic():
                invoice = Invoice.objects.get(pk=key)
                replaced = invoice.data.loid
                invoice.data = ContentFile(b"a replacement", name="replacement.txt")
                invoice.save()
                replacement = invoice.data.loid
                step.same("what was replaced is an object before the rollback", _is_object(replaced), False)
                with Invoice.objects.get(pk=key).data.open() as stored:
                    step.same("content before the rollback", stored.read(), b"a replacement")
                transaction.set_rollback(True)
            step.same("the replacement is an object", _is_object(replacement), False)
            step.same("name", Invoice.objects.get(pk=key).data.name, before)
            _compare(step, key, source)

    def _delete_and_roll_back(self, source: Source, key: int) -> None:
        with self._report.step("delete, roll back: row and content still there") as step:
            with transaction.atomic():
                loid = _delete(key)
                step.same("the file is an object before the rollback", _is_object(loid), False)
                transaction.set_rollback(True)
            _compare(step, key, source)

    def _log_in(self, owner: Visitor, path: str) -> None:
        with self._report.step("log in as the owner; before that no download") as step:
            with owner.request("GET", path) as response:
                found = response.status, response.headers["Location"]
                step.same("answer", found, (302, f"/login/?next={path}"))
            step.same("logged in", owner.log_in("owner", self._passwords["owner"]), True)

    def _download_whole(self, owner: Visitor, path: str, source: Source) -> None:
        with (
            self._report.step(f"download: {source.size:,} bytes, sha256 matches") as step,
            closing(progress("download", source.size)) as bar,
            owner.request("GET", path) as response,
        ):
            found = response.status, response.headers["Content-Length"]
            step.same("status and length", found, (200, str(source.size)))
            step.same("sha256", _sha256(_watched(blocks(response), bar)), source.sha256)

    def _download_in_part(self, owner: Visitor, path: str, source: Source) -> None:
        first = source.size // 3
        part = range(first, max(first + 1, 2 * first))
        shown = f"bytes {part.start}-{part.stop - 1}/{source.size}"
        headers = {"Range": f"bytes={part.start}-{part.stop - 1}"}
        if not source.size:
            with (
                self._report.step("download in part: 416, as it is empty") as step,
                owner.request("GET", path, headers) as response,
            ):
                step.same("status", response.status, 416)
            return
        with (
            self._report.step(f"download in part: {len(part):,} bytes, sha256 matches") as step,
            owner.request("GET", path, headers) as response,
        ):
            found = response.status, response.headers["Content-Range"]
            step.same("status and range", found, (206, shown))
            step.same("sha256", _sha256(blocks(response)), source.part_sha256(part))

    def _refuse_a_stranger(self, path: str) -> None:
        with self._report.step("log in as another user: download is 404") as step:
            stranger = Visitor(self._web.port)
            step.same("logged in", stranger.log_in("stranger", self._passwords["stranger"]), True)
            with stranger.request("GET", path) as response:
                step.same("status", response.status, 404)

    def _delete(self, owner: Visitor, path: str, key: int) -> None:
        with self._report.step("delete: no object in pg_largeobject_metadata, 404") as step:
            with transaction.atomic():
                loid = _delete(key)
            step.same("the file is an object", _is_object(loid), False)
            with owner.request("GET", path) as response:
                step.same("status", response.status, 404)


class WatchedFile(BinaryFile):
    """A file on disk that moves a bar on while it is stored."""

    def __init__(self, file: IO[bytes], name: str, bar: Bar) -> None:
        # Django takes a backslash for a separator, and refuses some names with separators.
        super().__init__(file, name.replace("\\", "_"))
        self._bar = bar

    @override
    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        return _watched(super().chunks(chunk_size), self._bar)


def _delete(key: int) -> int | None:
    """Delete an invoice, and with it its file; return what the file's oid was."""
    invoice = Invoice.objects.get(pk=key)
    loid = invoice.data.loid
    invoice.delete()
    return loid


def _compare(step: Step, key: int, source: Source, bar: Bar | None = None) -> None:
    """Read back what the row has now, as a later request would."""
    with transaction.atomic(), Invoice.objects.get(pk=key).data.open() as stored:
        step.same("bytes", stored.size, source.size)
        step.same("sha256", _sha256(_watched(stored.chunks(), bar)), source.sha256)


def _is_object(loid: int | None) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select from pg_largeobject_metadata where oid = %s", [loid])
        return cursor.fetchone() is not None


def _watched(chunks: Iterable[bytes], bar: Bar | None) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        if bar is not None:
            bar.update(len(chunk))


def _sha256(chunks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
