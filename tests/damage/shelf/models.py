"""Tables whose rows name files in every way that a check has to know."""

from typing import TYPE_CHECKING

from django.db import models

from pg_lo_storage.fields import DbFileField, DbImageField
from pg_lo_storage.storage import DbFileStorage

if TYPE_CHECKING:
    _Text = models.TextField[str | None, str | None]
else:
    _Text = models.TextField


class Book(models.Model):
    """Names that SQL must quote; a file that may be missing, and one that is blank then."""

    data = DbFileField(null=True, blank=True, db_column="Data File")
    cover = DbFileField(blank=True, default="")

    class Meta:
        db_table = "Shelf Book"

    def __str__(self) -> str:
        return str(self.data)


class Volume(Book):
    """A row in two tables, with files in both."""

    index = DbFileField(null=True, blank=True)


class Draft(Book):
    """The same row by another name."""

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]  # as Django has it
        proxy = True


class Contract(models.Model):
    """A row that cannot be without its file."""

    data = DbFileField()

    def __str__(self) -> str:
        return str(self.data)


class Portrait(models.Model):
    """An image, of which the row has what Django reads in it."""

    image = DbImageField(null=True, blank=True, width_field="width", height_field="height")
    width: "models.IntegerField[int | None, int | None]" = models.IntegerField(null=True)
    height: "models.IntegerField[int, int]" = models.IntegerField(default=0)
    pages: "models.IntegerField[int, int]" = models.IntegerField(default=1)

    def __str__(self) -> str:
        return str(self.image)


class Sheet(models.Model):
    """A row with a key of two columns, in another order than the table's."""

    pk = models.CompositePrimaryKey("page", "book")
    book: "models.IntegerField[int, int]" = models.IntegerField()
    page: "models.CharField[str, str]" = models.CharField(max_length=20)
    data = DbFileField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.data)


class Remote(models.Model):
    """Files on another database than the rows."""

    data = DbFileField(storage=DbFileStorage(alias="other"), null=True, blank=True)

    def __str__(self) -> str:
        return str(self.data)


class Version(models.Model):
    """What a book was, which ``PG_LO_STORAGE_REFERENCES`` lists."""

    data = _Text(null=True)

    def __str__(self) -> str:
        return str(self.data)
