"""docs/moving.md: each origin's commands, with files of an installed library; and thumbnails of files that move.

``PG_LO_TEST_MOVES`` says how many files there are.
"""

import io
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.core.management import call_command
from django.db import connections
from django.http import HttpRequest
from django.template import Context, Template
from django.test import RequestFactory, override_settings
from django.utils.functional import empty
from moto.server import ThreadedMotoServer
from sorl.thumbnail import default as sorl_default

from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import TransitionalStorage, db_file_storage
from pg_lo_storage.views import DbFileView
from tests.moving.library import Answer, Client, real_files
from tests.packages.shop.models import Fax, Letter, Snapshot
from tests.packages.support import Oids, color_of, oids_of, png, stored
from tests.packages.test_thumbnails import EASY, IMAGEKIT, RED, SORL, on_disk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(3_600)]

PAGE = Path(__file__).parents[2] / "docs" / "moving.md"
ORIGINS = {
    "a disk": "disk",
    "S3": "s3",
    "django-db-file-storage": "rows",
    "django-binary-database-files": "blobs",
}


def commands(origin: str) -> list[list[str]]:
    """Return what the page says under the origin's heading."""
    section = PAGE.read_text(encoding="utf-8").partition(f"### From {origin}\n")[2].partition("\n#")[0]
    found = [shlex.split(line) for line in re.findall(r"^\$ python manage.py (.*)$", section, flags=re.MULTILINE)]
    assert len(found) == 3
    return found


def run(command: list[str]) -> str:
    out = io.StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


@pytest.fixture(scope="session")
def bucket() -> Iterator[dict[str, Any]]:
    """A bucket of a server that speaks S3."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    access = {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"}
    boto3.client("s3", aws_access_key_id="a", aws_secret_access_key="b", **access).create_bucket(Bucket="letters")
    options = {"bucket_name": "letters", "access_key": "a", "secret_key": "b", "file_overwrite": False}
    yield {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": access | options}
    server.stop()


def ask(key: int, headers: dict[str, str]) -> Answer | None:
    """Ask the view for the file of a letter; a large one may be cut where it moves out, and a server then cuts, too."""
    request: HttpRequest = RequestFactory().get("/", headers=headers)
    response = DbFileView.as_view(model=Letter, field="data")(request, pk=key)
    with closing(response):
        try:
            body = b"".join(response) if response.streaming else response.content
        except (LargeObjectConflict, LargeObjectNotFound):
            assert int(response["Content-Length"]) > 262_144
            return None
    return Answer(response.status_code, body, response.headers.get("ETag"))


@pytest.fixture
def places(tmp_path: Path, bucket: dict[str, Any]) -> Iterator[None]:
    """The storages that the page speaks of."""
    folder = {"location": str(tmp_path / "disk"), "base_url": "/disk/"}
    places = {
        "disk": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": folder},
        "s3": bucket,
        "rows": {"BACKEND": "db_file_storage.storage.DatabaseFileStorage"},
        "blobs": {"BACKEND": "binary_database_files.storage.DatabaseStorage"},
    }
    with override_settings(STORAGES=settings.STORAGES | places):
        yield
    # It knows its storage by what that is, and Django has made others.
    sorl_default.storage._wrapped = empty


def names() -> list[str]:
    return list(Letter.objects.order_by("pk").values_list("data", flat=True))


def read(storage: Storage, name: str) -> bytes:
    with storage.open(name) as file:
        return file.read()


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("origin", ORIGINS)
def test_a_live_site_moves_in_and_out_again(
    origin: str, large_objects: Oids, catalogue: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    alias, field = ORIGINS[origin], Letter._meta.get_field("data")
    old, folder = storages[alias], "shop.LetterBytes/content/filename/mimetype" if alias == "rows" else "letters"
    monkeypatch.setattr(field, "storage", TransitionalStorage(legacy=alias))
    monkeypatch.setattr(field, "upload_to", folder)
    files: dict[int, bytes] = {}
    for path, content in real_files().items():
        files[Letter.objects.create().pk] = content
        Letter.objects.filter(data="").update(data=old.save(f"{folder}/{path.replace('/', '-')}", ContentFile(content)))
    before, size = names(), sum(map(len, files.values()))
    moments = [old.get_modified_time(name) for name in before] if alias in {"disk", "s3"} else []
    client = Client(ask, files)
    would, move_in, move_out = commands(origin)
    with client.asking(connections.close_all):
        assert f"{len(files)} files of {len(files)} rows, {size} bytes, would be moved" in run(would)
        assert names() == before
        assert f"{len(files)} files of {len(files)} rows, {size} bytes, moved" in run(move_in)
        assert [read(db_file_storage, name) for name in names()] == list(files.values())
        assert large_objects() == {parse_name(name) for name in names()}
        assert not any(map(old.exists, before))
        if catalogue and moments:
            assert [db_file_storage.entry(name).modified_at for name in names()] == moments
        assert f"{len(files)} files of {len(files)} rows, {size} bytes, moved" in run(move_out)
    assert client.wrong == []
    assert client.asked
    assert [read(old, name) for name in names()] == list(files.values())
    assert large_objects() == set()
    if catalogue:
        assert [Path(name).name for name in names()] == [Path(name).name for name in before]
    if catalogue and alias == "disk":
        assert [old.get_modified_time(name) for name in names()] == moments
    sys.stdout.write(f"{origin}: {len(files)} files, {size} bytes, {client.asked} requests\n")


@pytest.mark.usefixtures("places")
def test_a_binary_field_moves_in_and_out_to_a_disk(large_objects: Oids, catalogue: bool) -> None:
    files = real_files()
    Fax.objects.bulk_create([Fax(content=content, filename=Path(path).name) for path, content in files.items()])
    would, move_in, move_out = commands("a BinaryField")
    assert f"{len(files)} files of {len(files)} rows" in run(would)
    assert not large_objects()
    run(move_in)
    faxes = list(Fax.objects.order_by("pk"))
    assert [stored(fax.data.name) for fax in faxes] == list(files.values())
    assert {fax.content for fax in faxes} == {None}
    if catalogue:
        assert [fax.data.original_name for fax in faxes] == [Path(path).name for path in files]
    run(move_out)
    assert [read(storages["disk"], str(fax.data.name)) for fax in Fax.objects.order_by("pk")] == list(files.values())
    assert large_objects() == set()


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize("template", [EASY, SORL, IMAGEKIT], ids=["easy_thumbnails", "sorl", "imagekit"])
def test_pages_show_thumbnails_of_pictures_before_and_after_they_move(template: str, large_objects: Oids) -> None:
    snapshot = Snapshot.objects.create()
    name = storages["disk"].save("snapshots/a.png", ContentFile(png("red")))
    Snapshot.objects.update(image=name)

    def shown() -> tuple[int, ...]:
        page = template.replace("photo.", "snapshot.")
        url = Template(page).render(Context({"snapshot": Snapshot.objects.get()}))
        return color_of(on_disk(url).read_bytes())

    assert shown() == pytest.approx(RED, abs=4)
    run(["largeobjects", "move", "shop.Snapshot.image", "--delete-source", "--yes"])
    snapshot.refresh_from_db()
    assert large_objects() == oids_of(snapshot.image.name)
    assert shown() == pytest.approx(RED, abs=4)
