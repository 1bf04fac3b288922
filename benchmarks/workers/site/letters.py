"""Tables that may name stored files: two of file fields with cleanup as they come, one that the project lists."""

from django.db import models

from pg_lo_storage.fields import DbFileField


class Letter(models.Model):
    """A row with a file that follows it."""

    data = DbFileField()

    def __str__(self) -> str:
        return str(self.data)


class Copy(models.Model):
    """Another such row, which might name the same file."""

    data = DbFileField()

    def __str__(self) -> str:
        return str(self.data)


class Mention(models.Model):
    """A row that names a file in a column of text, with the index that the documentation tells of."""

    data: "models.CharField[str, str]" = models.CharField(max_length=100)

    class Meta:
        """As docs/database.md has it."""

        indexes = (models.Index(fields=["data"], opclasses=["varchar_pattern_ops"], name="papers_mention_data_lo"),)

    def __str__(self) -> str:
        return self.data
