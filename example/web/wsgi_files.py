"""Files with WSGI alone: ``DSN=dbname=app gunicorn example.web.wsgi_files:app``."""

import os
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from psycopg.rows import class_row
from psycopg_pool import ConnectionPool

from example.web import FACTS
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound, LargeObjectPermissionDenied
from pg_lo_storage.http import Answer, FileFacts, answer, body
from pg_lo_storage.names import parse_name

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

pool = ConnectionPool(os.environ.get("DSN", ""), open=True)


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    blocks: Iterable[bytes] = ()
    try:
        facts = find(environ["PATH_INFO"].removeprefix("/files/"))
        made = answer(environ["REQUEST_METHOD"], headers, facts)
        blocks = body(pool.connection, facts, made)
    except (LookupError, LargeObjectNotFound, LargeObjectPermissionDenied):
        made = Answer(404, {"Content-Length": "0"})
    except LargeObjectConflict:
        made = Answer(503, {"Content-Length": "0", "Retry-After": "1"})
    start_response(f"{made.status} {HTTPStatus(made.status).phrase}", [*made.headers.items()])
    return blocks


def find(name: str) -> FileFacts:
    with pool.connection() as connection, connection.cursor(row_factory=class_row(FileFacts)) as cursor:
        if (facts := cursor.execute(FACTS, [parse_name(name)]).fetchone()) is None:
            raise LookupError(name)
        return facts
