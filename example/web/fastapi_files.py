"""Files with FastAPI: ``DSN=dbname=app uvicorn example.web.fastapi_files:app``."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from tempfile import TemporaryFile

from fastapi import FastAPI, HTTPException, Request
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

import pg_lo_storage
from pg_lo_storage.contrib.starlette import LargeObjectResponse
from pg_lo_storage.http import FileFacts
from pg_lo_storage.names import parse_name

INSERT = "insert into file values (%s, %s, %s, %s)"
FACTS = "select oid, size, name, sha256, saved as modified, true as written_once from file where oid = %s::int8"
pool = AsyncConnectionPool(os.environ.get("DSN", ""), open=False)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
    async with pool:
        yield


app = FastAPI(lifespan=lifespan)


@app.put("/files/{name}", status_code=201)
async def upload(name: str, request: Request) -> int:
    with TemporaryFile() as file:  # no connection waits for a slow client
        async for block in request.stream():
            file.write(block)
        file.seek(0)
        async with pool.connection() as connection:
            saved = await pg_lo_storage.save(connection, file, digest=True)
            await connection.execute(INSERT, [*saved, name])
    return saved.oid


@app.api_route("/files/{number}", methods=["GET", "HEAD"])
async def download(number: str) -> LargeObjectResponse:
    async with pool.connection() as connection, connection.cursor(row_factory=class_row(FileFacts)) as cursor:
        if (facts := await (await cursor.execute(FACTS, [parse_name(number)])).fetchone()) is None:
            raise HTTPException(404)
    return LargeObjectResponse(pool.connection, facts)
