"""Files with Flask: ``DSN=dbname=app gunicorn example.web.flask_files:app``."""

import os
from errno import EACCES, EBUSY, EFBIG, ENOENT
from shutil import copyfileobj
from tempfile import TemporaryFile

from flask import Flask, Response, abort, request
from psycopg.rows import class_row
from psycopg_pool import ConnectionPool

import pg_lo_storage
from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.http import FileFacts, answer, body
from pg_lo_storage.names import parse_name

INSERT = "insert into file values (%s, %s, %s, %s)"
FACTS = "select oid, size, name, sha256, saved as modified, true as written_once from file where oid = %s::int8"
STATUS = {ENOENT: 404, EACCES: 404, EFBIG: 413, EBUSY: 503}
pool = ConnectionPool(os.environ.get("DSN", ""), open=True)
app = Flask(__name__)


@app.put("/files/<name>")
def upload(name: str) -> tuple[str, int]:
    with TemporaryFile() as file:  # no connection waits for a slow client
        copyfileobj(request.stream, file)
        if request.content_length not in {None, file.tell()}:
            abort(400)  # the client left, of which gunicorn does not tell
        file.seek(0)
        with pool.connection() as connection:
            saved = pg_lo_storage.save(connection, file, digest=True)
            connection.execute(INSERT, [*saved, name])
    return str(saved.oid), 201


@app.get("/files/<number>")
def download(number: str) -> Response:
    with pool.connection() as connection, connection.cursor(row_factory=class_row(FileFacts)) as cursor:
        if (facts := cursor.execute(FACTS, [parse_name(number)]).fetchone()) is None:
            abort(404)
    made = answer(request.method, dict(request.headers), facts)
    return Response(body(pool.connection, facts, made), made.status, made.headers)


@app.errorhandler(LargeObjectError)
def failed(error: LargeObjectError) -> tuple[str, int]:
    app.logger.warning("not served", exc_info=error)
    return "", STATUS.get(error.errno or 0, 500)
