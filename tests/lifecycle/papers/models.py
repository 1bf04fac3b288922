import uuid
from typing import TYPE_CHECKING, Any

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.core.files.storage import InMemoryStorage
from django.db import models
from typing_extensions import override

from pg_lo_storage.fields import DbFileField, DbImageField
from pg_lo_storage.storage import DbFileStorage, db_file_storage

if TYPE_CHECKING:
    _Folder = models.ForeignKey["Folder | None", "Folder | None"]

# What defaults name: files that a test makes, with oids that no other object will have.
LITERAL, CALLED, BY_DATABASE = DEFAULTS = ("4294000001.png", "4294000002.png", "4294000003.png")


class Base(models.Model):
    """What all have in common."""

    class Meta:
        abstract = True

    @override
    def __str__(self) -> str:
        return f"{type(self).__name__} {self.pk}"


class Folder(Base):
    """What papers are deleted with."""

    name: "models.TextField[str, str]" = models.TextField(default="")


class Paper(Base):
    """Two files, and columns of other kinds."""

    folder: "_Folder" = models.ForeignKey(Folder, on_delete=models.CASCADE, null=True, blank=True)
    title: "models.TextField[str, str]" = models.TextField(default="", blank=True)
    count: "models.IntegerField[int, int]" = models.IntegerField(default=0)
    data = DbFileField(null=True, blank=True)
    scan = DbImageField(null=True, blank=True)


class Order(Base):
    """A column whose name SQL must quote."""

    data = DbFileField(null=True, blank=True, db_column="Order")


class Contract(Paper):
    """A row in two tables, with files in both."""

    signed = DbFileField(null=True, blank=True)


class Draft(Paper):
    """The same row by another name."""

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]  # as Django has it
        proxy = True


class Signed(Base):
    """A base without a table."""

    data = DbFileField(null=True, blank=True)

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]  # as Django has it
        abstract = True


class Letter(Signed):
    """A child of one without a table; its primary key stands after its file."""

    code: "models.CharField[str, str]" = models.CharField(max_length=20, primary_key=True)


class Version(Base):
    """What a paper was: a copy of its row."""

    # A collector of Django's that knew of it would have one query more for each row that is deleted.
    previous: "models.ForeignKey[Version | None, Version | None]" = models.ForeignKey(
        "self", on_delete=models.DO_NOTHING, null=True, blank=True
    )
    data = DbFileField(null=True, blank=True)


class Receipt(Base):
    """A row that has a key before it is saved."""

    id: "models.UUIDField[uuid.UUID, uuid.UUID]" = models.UUIDField(primary_key=True, default=uuid.uuid4)
    data = DbFileField(null=True, blank=True)


class Sheet(Base):
    """A row with a key of two columns."""

    pk = models.CompositePrimaryKey("book", "page")
    book: "models.IntegerField[int, int]" = models.IntegerField()
    page: "models.IntegerField[int, int]" = models.IntegerField()
    title: "models.TextField[str, str]" = models.TextField(default="")
    data = DbFileField(null=True, blank=True)


class Archived(Base):
    """A field that leaves its files alone, and one that is Django's own."""

    data = DbFileField(null=True, blank=True, cleanup=False)
    plain = models.FileField(storage=db_file_storage, null=True, blank=True)


class Remote(Base):
    """Files on another database than the rows, unless these are put there, too."""

    data = DbFileField(storage=DbFileStorage(alias="other"), null=True, blank=True)


class HiddenManager(models.Manager["Hidden"]):
    """Shows nothing."""

    def get_queryset(self) -> "models.QuerySet[Hidden]":
        return super().get_queryset().none()


class Hidden(Base):
    """Rows that no manager shows."""

    data = DbFileField(null=True, blank=True)

    objects = HiddenManager()
    everything: "models.Manager[Hidden]" = models.Manager()

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]  # as Django has it
        base_manager_name = "objects"


class Unique(Base):
    """A file that the database checks."""

    data = DbFileField(unique=True)

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]  # as Django has it
        constraints = (models.CheckConstraint(condition=~models.Q(data=""), name="papers_unique_has_file"),)


class Tag(Base):
    """A file on any row."""

    kind: "models.ForeignKey[ContentType, ContentType]" = models.ForeignKey(ContentType, on_delete=models.CASCADE)
    key: "models.PositiveIntegerField[int, int]" = models.PositiveIntegerField()
    row = GenericForeignKey("kind", "key")
    data = DbFileField(null=True, blank=True)


class Tagged(Base):
    """A row whose tags go with it."""

    tags = GenericRelation(Tag, content_type_field="kind", object_id_field="key")


class Enclosure(Base):
    """A file that stays, or keeps, when its paper goes."""

    loose: "models.ForeignKey[Paper | None, Paper | None]" = models.ForeignKey(
        Paper, on_delete=models.SET_NULL, null=True, blank=True, related_name="loose"
    )
    fixed: "models.ForeignKey[Paper | None, Paper | None]" = models.ForeignKey(
        Paper, on_delete=models.PROTECT, null=True, blank=True, related_name="fixed"
    )
    data = DbFileField(null=True, blank=True)


class Picture(Base):
    """An image whose dimensions are columns."""

    title: "models.TextField[str, str]" = models.TextField(default="")
    width: "models.IntegerField[int | None, int | None]" = models.IntegerField(null=True, blank=True)
    height: "models.IntegerField[int | None, int | None]" = models.IntegerField(null=True, blank=True)
    image = DbImageField(null=True, blank=True, width_field="width", height_field="height")


class Careful(Base):
    """Methods of its own, as projects have them."""

    saved: "models.IntegerField[int, int]" = models.IntegerField(default=0)
    data = DbFileField(null=True, blank=True)

    @override
    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        self.saved += 1
        super().save(*args, **{**kwargs, "force_insert": False})

    @override
    def save_base(self, *args: Any, **kwargs: Any) -> None:
        super().save_base(*args, **kwargs)

    @override
    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        return super().delete(*args, **kwargs)


class Lent(Base):
    """A file in somebody else's storage."""

    data = DbFileField(storage=InMemoryStorage(), null=True, blank=True)


def default_picture() -> str:
    """Return the name of a file that many rows have."""
    return CALLED


class Profile(Base):
    """Files that a row has until it gets its own."""

    title: "models.TextField[str, str]" = models.TextField(default="")
    literal = DbFileField(default=LITERAL)
    called = DbFileField(default=default_picture, null=True, blank=True)


class Badge(Base):
    """A file that the database gives to a row without one."""

    title: "models.TextField[str, str]" = models.TextField(default="")
    data = DbFileField(db_default=BY_DATABASE)


if hasattr(models, "DB_CASCADE"):

    class Slip(Base):
        """A row that the database deletes with its folder."""

        folder: "_Folder" = models.ForeignKey(Folder, on_delete=models.DB_CASCADE, null=True)
        data = DbFileField(null=True, blank=True)
