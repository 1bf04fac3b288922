"""Files of mapped rows: ``URL=postgresql+psycopg://app@/app uvicorn example.web.fastapi_sqlalchemy:app``."""

import os

from fastapi import FastAPI, HTTPException, UploadFile
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pg_lo_storage.contrib.sqlalchemy import LargeObjectFile, LargeObjectType
from pg_lo_storage.contrib.starlette import LargeObjectResponse
from pg_lo_storage.http import FileFacts


class Base(DeclarativeBase):
    """The tables."""


class Letter(Base):
    """A letter, and its scan."""

    __tablename__ = "letter"
    name: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int]
    scan: Mapped[LargeObjectFile] = mapped_column(LargeObjectType)


engine = create_async_engine(os.environ.get("URL", "postgresql+psycopg://app@/app"))
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


@app.put("/letters/{name}", status_code=201)
async def upload(name: str, scan: UploadFile) -> None:
    async with sessions.begin() as session:
        await session.merge(Letter(name=name, size=scan.size or 0, scan=LargeObjectFile(scan.file)))


@app.api_route("/letters/{name}", methods=["GET", "HEAD"])
async def download(name: str) -> LargeObjectResponse:
    async with sessions() as session:
        if (letter := await session.get(Letter, name)) is None:
            raise HTTPException(404)
    return LargeObjectResponse(sessions, FileFacts(letter.scan.oid, letter.size, name))
