"""A body in chunks has no length, and Django takes a form without a length for an empty one."""

import socket
from collections.abc import Callable

import pytest

from tests.serving.servers import UPLOADS, serving
from tests.uploads.test_servers import BODY, BOUNDARY

pytestmark = [pytest.mark.django_db(transaction=True, databases=["default", "other"]), pytest.mark.once]


@pytest.mark.parametrize("name", UPLOADS)
def test_nothing_is_left_of_it(name: str, nothing_is_left: Callable[..., None]) -> None:
    with serving(name, PG_LO_TEST_ATOMIC="") as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(
            b"POST /form/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=%s\r\n\r\n" % BOUNDARY
        )
        for start in range(0, len(BODY), 100_000):
            part = BODY[start : start + 100_000]
            client.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        client.sendall(b"0\r\n\r\n")
        answer = client.makefile("rb").read()
    assert b'"data": null' in answer
    nothing_is_left()
