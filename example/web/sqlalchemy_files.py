"""Files with SQLAlchemy: ``python -m example.web.sqlalchemy_files postgresql+psycopg://app@/app letter.pdf``."""

import sys
from pathlib import Path

from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import pg_lo_storage
from pg_lo_storage import triggers
from pg_lo_storage.contrib.sqlalchemy import LargeObjectFile, LargeObjectType


class Base(DeclarativeBase):
    """The tables."""


class Letter(Base):
    """A letter, and its scan."""

    __tablename__ = "letter"
    name: Mapped[str] = mapped_column(primary_key=True)
    scan: Mapped[LargeObjectFile] = mapped_column(LargeObjectType, index=True)


def main(url: str, path: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        triggers.install(connection, "letter", "scan")
    with Session(engine) as session, Path(path).open("rb") as file:
        session.merge(Letter(name=Path(path).name, scan=LargeObjectFile(file)))
        session.commit()
        for letter in session.scalars(select(Letter)):
            with pg_lo_storage.open(session, letter.scan.oid) as scan:
                print(letter.name, scan.size, "bytes")
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
