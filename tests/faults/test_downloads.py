"""A download from a real server whose connection to the database is cut in the middle."""

import hashlib
import http.client
import json
import socket

import pytest
from django.core.files.base import ContentFile

from example.cluster import Server
from pg_lo_storage.storage import db_file_storage
from tests.fixtures.proxy import Wire
from tests.serving.servers import serving
from tests.storage.support import content

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_goes_on_over_a_new_connection(server: Server) -> None:
    data = content(30_000_000)
    name = db_file_storage.save("a.pdf", ContentFile(data))
    with Wire(server.parameters()) as wire:
        databases = {"default": server.django_database(**wire.changes)}
        with serving("gunicorn-gthread", PG_LO_TEST_DATABASES=json.dumps(databases)) as web, socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            client.connect(("127.0.0.1", web.port))
            client.sendall(f"GET /files/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            response = http.client.HTTPResponse(client)
            response.begin()
            received = response.read(1_000_000)
            wire.drop()
            received += response.read()
            assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()
            assert web.log == ""
