"""The figures as a page in the admin shows them, in the user's language."""

from collections.abc import Iterator
from typing import Final

from django.template.defaultfilters import filesizeformat
from django.utils.formats import date_format, number_format
from django.utils.safestring import SafeString
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from pg_lo_storage.maintenance.charts import Bar, svg
from pg_lo_storage.maintenance.statistics import By, Group, Totals, groups, totals
from pg_lo_storage.maintenance.uses import naming_columns

__all__ = ["CHOICES", "page"]

CHOICES: Final = {
    "month": _("By month"),
    "type": _("By content type"),
    "field": _("By field"),
    "owner": _("By owner"),
    "role": _("By database role"),
}
_TITLES: Final = {
    "month": _("Files by month"),
    "type": _("Files by content type"),
    "field": _("Files by field"),
    "owner": _("Files by owner"),
    "role": _("Files by database role"),
}
_MOST: Final = 24
"""The most bars."""


def page(alias: str, asked: str | None) -> dict[str, object]:
    """Return what the template shows of the files on ``alias``, by what was asked for, or else by month."""
    by: By = "month"
    for known in ("type", "field", "owner", "role"):
        if asked == known:
            by = known
    found, title = groups(alias, by, _MOST), str(_TITLES[by])
    # All texts in it are escaped.
    chart = SafeString(svg([_bar(group) for group in found], title))
    return {
        "figures": list(_figures(totals(alias))),
        "choices": list(CHOICES.items()),
        "by": by,
        "chart": chart if found else "",
        "chart_title": title,
        "rows": [(label, number_format(files), filesizeformat(size)) for label, files, size in found],
        "problems": naming_columns(alias)[1] if by in {"field", "owner"} else [],
    }


def _bar(group: Group) -> Bar:
    files = ngettext("%(files)s file", "%(files)s files", group.files) % {"files": number_format(group.files)}
    return Bar(group.label, group.bytes, f"{filesizeformat(group.bytes)}, {files}")


def _figures(found: Totals) -> Iterator[tuple[str, str]]:
    yield gettext("Files"), number_format(found.files)
    yield gettext("Size"), filesizeformat(found.bytes)
    if found.unmeasured:
        yield gettext("Files of unknown size"), number_format(found.unmeasured)
    # The page is of a catalogue's files, of which all this is known.
    yield gettext("Files of the last 30 days"), number_format(found.recent_files or 0)
    yield gettext("Their size"), filesizeformat(found.recent_bytes or 0)
    if found.undigested and found.oldest_undigested:
        yield gettext("Files without a digest"), number_format(found.undigested)
        oldest = found.oldest_undigested
        moment = localtime(oldest) if is_aware(oldest) else oldest
        yield gettext("The oldest of these"), date_format(moment, "DATETIME_FORMAT")
    yield gettext("Large objects of the database"), number_format(found.objects)
    yield gettext("Their size on disk, with the room of deleted ones"), filesizeformat(found.disk_bytes)
    if found.dead_share is not None:
        yield gettext("Part of their table that is dead, as estimated"), f"{found.dead_share:.0%}"
