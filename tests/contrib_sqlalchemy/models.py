"""Mapped classes with files."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from pg_lo_storage.contrib.sqlalchemy import LargeObjectFile, LargeObjectType


class Base(DeclarativeBase):
    """The tables of the tests."""


class Folder(Base):
    """Has papers, which are deleted with it."""

    __tablename__ = "folder"
    id: Mapped[int] = mapped_column(primary_key=True)
    papers: Mapped[list["Paper"]] = relationship(back_populates="folder", cascade="all, delete-orphan")


class Paper(Base):
    """Has a file, and may have another."""

    __tablename__ = "paper"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="paper")
    title: Mapped[str | None] = mapped_column(unique=True)
    data: Mapped[LargeObjectFile | None] = mapped_column(LargeObjectType)
    folder_id: Mapped[int | None] = mapped_column(ForeignKey("folder.id"))
    folder: Mapped[Folder | None] = relationship(back_populates="papers")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "paper"}  # noqa: RUF012 -- as SQLAlchemy asks


class Signed(Paper):
    """A paper with a signature, in a table of its own."""

    __tablename__ = "signed"
    id: Mapped[int] = mapped_column(ForeignKey("paper.id"), primary_key=True)
    signature: Mapped[LargeObjectFile | None] = mapped_column(LargeObjectType)
    __mapper_args__ = {"polymorphic_identity": "signed"}  # noqa: RUF012 -- as SQLAlchemy asks
