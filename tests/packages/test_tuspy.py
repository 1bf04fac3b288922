"""docs/packages.md: tuspy, a client of resumable uploads."""

import hashlib
import io
import random
import threading
import time

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import connection
from django.test import Client, RequestFactory
from pytest_django.live_server_helper import LiveServer
from requests import RequestException
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from pg_lo_storage.models import StoredFile, UnfinishedUpload
from pg_lo_storage.tus import finished
from tests.packages.shop.models import Paper
from tests.packages.support import Oids, stored
from tests.site.network import Network

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = random.Random(1).randbytes(6_000_000)


def client_of(user: AbstractBaseUser, url: str) -> TusClient:
    signed_in = Client()
    signed_in.force_login(user)
    session = signed_in.cookies["sessionid"].value
    token = "a" * 32
    return TusClient(f"{url}/up/", headers={"Cookie": f"sessionid={session}; csrftoken={token}", "X-CSRFToken": token})


def cut_in_the_middle(network: Network) -> None:
    deadline = time.monotonic() + 60
    size = 0
    while not size and time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("select coalesce(sum(length(lo_get(loid))), 0) from pg_lo_storage_upload")
            [size] = cursor.fetchone()
    network.cut()
    connection.close()


@pytest.mark.parametrize("has_checksum", [False, True])
def test_tuspy_resumes_after_a_cut(
    live_server: LiveServer, large_objects: Oids, catalogue: bool, *, has_checksum: bool
) -> None:
    user = get_user_model().objects.create(username="ann")
    about = {"filename": "märz.pdf", "filetype": "application/pdf"}
    port = int(live_server.url.rpartition(":")[2])
    with Network(port, pause=0.02) as network:
        uploader = client_of(user, network.url).uploader(
            file_stream=io.BytesIO(CONTENT),
            metadata=about,
            upload_checksum=has_checksum,
            chunk_size=2_500_000 if has_checksum else len(CONTENT),
        )
        if not catalogue:
            with pytest.raises(TusCommunicationError):
                uploader.upload()
            return
        threading.Thread(target=cut_in_the_middle, args=(network,)).start()
        # Where the cut is in the head of an answer, tuspy takes it for a whole one, without an offset: TypeError.
        with pytest.raises((TusCommunicationError, RequestException, TypeError)):
            uploader.upload()
    url = live_server.url + "/up/?upload=" + str(UnfinishedUpload.objects.get().key)
    # The server may still append what it got before the cut: then it answers 409, and the client asks for the offset.
    again = client_of(user, live_server.url).uploader(
        file_stream=io.BytesIO(CONTENT), url=url, upload_checksum=has_checksum, retries=10, retry_delay=1
    )
    assert 0 < again.offset < len(CONTENT)
    again.upload()
    request = RequestFactory().post("/")
    request.user = user
    paper = Paper.objects.create(title="t", file=finished(request, url))
    assert stored(paper.file.name) == CONTENT
    entry = StoredFile.objects.get()
    assert (entry.original_name, entry.sha256) == ("märz.pdf", hashlib.sha256(CONTENT).hexdigest())
    assert large_objects() == {entry.loid}
