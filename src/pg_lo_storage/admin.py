"""The catalogue in Django's admin: what files there are, which rows name them, and their content; all read-only.

It shows the catalogue of the database that the routers name for reading ``StoredFile``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote as quote_key
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import DataError, connections, models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from pg_lo_storage.content_types import content_type_of
from pg_lo_storage.databases.columns import ExistingColumn, FileColumn, ask, existing_columns
from pg_lo_storage.databases.columns_in_sql import OWN_TYPE
from pg_lo_storage.databases.file_fields import file_fields
from pg_lo_storage.databases.names_in_sql import naming
from pg_lo_storage.maintenance.pages import page
from pg_lo_storage.models import StoredFile
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.views import db_serve

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[StoredFile]
    from django.contrib.auth.models import User

    FileField: TypeAlias = models.FileField
else:
    _ModelAdmin = admin.ModelAdmin

__all__ = ["StoredFileAdmin"]

# Images that a browser shows without running anything in them: no SVG.
_PREVIEWED: Final = {"image/avif", "image/gif", "image/jpeg", "image/png", "image/webp"}
_NO_TEXT: Final = re.compile("[\x00\ud800-\udfff]")
_MOST_ROWS: Final = 50
"""The most rows that are shown for each column."""


class Reference(NamedTuple):
    """A row that names a file; ``url`` is its admin page's, or ``None`` where this user has no such page."""

    text: str
    url: str | None

    @override
    def __str__(self) -> str:
        return self.text


class KindFilter(admin.SimpleListFilter):
    """Filters by the kind of content, from a fixed list: one for all content types would be long, and take a query."""

    if not TYPE_CHECKING:  # of the type that the base declares
        title = _("content type")
    parameter_name: str | None = "kind"

    @override
    def lookups(self, request: HttpRequest, model_admin: object) -> Sequence[tuple[str, Any]]:
        return [
            ("image/", _("Image")),
            ("audio/", _("Audio")),
            ("video/", _("Video")),
            ("text/", _("Text")),
            ("application/pdf", _("PDF")),
            ("application/octet-stream", _("Unknown")),
        ]

    @override
    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[StoredFile]") -> "models.QuerySet[StoredFile]":
        return queryset.filter(content_type__startswith=self.value()) if self.value() else queryset


@admin.register(StoredFile)
class StoredFileAdmin(_ModelAdmin):
    """Whoever may view stored files may see, search, preview and download all of them, whatever rows name them."""

    if not TYPE_CHECKING:  # of the types that the base declares
        list_display = ("name", "original_name", "content_type", "readable_size", "created_at")
        list_filter = (KindFilter,)
        search_fields = ("original_name",)
        search_help_text = _("Part of the original name, or an oid")
        ordering = ("-loid",)
        show_full_result_count = False
        fields = ("name", "original_name", "content_type", "readable_size", "sha256", "created_at", "modified_at")
        readonly_fields = fields
        change_list_template = "admin/pg_lo_storage/storedfile/change_list.html"
        change_form_template = "admin/pg_lo_storage/storedfile/change_form.html"

    @admin.display(description=_("size"), ordering="size", empty_value="-")
    def readable_size(self, stored_file: StoredFile) -> str | None:
        """The size with a unit; none after a write in place, and for adopted files."""
        return None if stored_file.size is None else filesizeformat(stored_file.size)

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @override
    def has_change_permission(self, request: HttpRequest, obj: StoredFile | None = None) -> bool:
        return False

    @override
    def has_delete_permission(self, request: HttpRequest, obj: StoredFile | None = None) -> bool:
        return False

    @override
    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # PostgreSQL refuses an oid past 2^32; the search box takes any number.
        return lookup.partition("__")[0] not in {"loid", "pk"} and super().lookup_allowed(lookup, value, request)

    @override
    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        # The driver or, within the transaction, the server may refuse a lookup that somebody typed.
        try:
            with transaction.atomic(using=self.get_queryset(request).db):
                return super().get_changelist_instance(request)
        except (DataError, OverflowError, ValueError) as error:
            raise IncorrectLookupParameters(error) from error

    @override
    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> StoredFile | None:
        return None if parse_name(object_id) is None else super().get_object(request, object_id, from_field)

    @override
    def get_search_results(
        self, request: HttpRequest, queryset: "models.QuerySet[StoredFile]", search_term: str
    ) -> "tuple[models.QuerySet[StoredFile], bool]":
        if not _is_text(search_term):
            return queryset.none(), False
        found, duplicates = super().get_search_results(request, queryset, search_term)
        if (oid := parse_name(search_term.strip())) is not None:
            found |= queryset.filter(loid=oid)
        return found, duplicates

    @override
    def get_urls(self) -> list[URLPattern]:
        content = self.admin_site.admin_view(self.content_view)
        statistics = self.admin_site.admin_view(self.statistics_view)
        return [
            path("statistics/", statistics, name="pg_lo_storage_statistics"),
            path("<path:object_id>/content/", content, name="pg_lo_storage_content"),
            *super().get_urls(),
        ]

    @override
    def changelist_view(self, request: HttpRequest, extra_context: Mapping[str, Any] | None = None) -> HttpResponse:
        url = reverse(f"{self.admin_site.name}:pg_lo_storage_statistics") if _may_see_all(request) else None
        return super().changelist_view(request, {"statistics_url": url, **(extra_context or {})})

    def statistics_view(self, request: HttpRequest) -> HttpResponse:
        """Show superusers how many files there are, how large, and a chart of them."""
        if not (_may_see_all(request) and self.has_view_permission(request)):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Statistics"),
            **page(self.get_queryset(request).db, request.GET.get("by")),
        }
        return TemplateResponse(request, "admin/pg_lo_storage/storedfile/statistics.html", context)

    def content_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Serve the file for download, or with ``?preview`` for display where it is a harmless image."""
        stored_file = self.get_object(request, object_id)
        if not self.has_view_permission(request, stored_file):
            raise PermissionDenied
        if stored_file is None:
            message = f"no stored file {object_id!r}"
            raise Http404(message)
        image_type = _image_type(stored_file) if "preview" in request.GET else None
        return db_serve(
            request,
            stored_file.name,
            storage=DbFileStorage(alias=stored_file._state.db),
            as_attachment=image_type is None,
            content_type=image_type,
            download_name=stored_file.original_name or stored_file.name,
            headers={"Content-Security-Policy": "sandbox; default-src 'none'"} if image_type else None,
        )

    @override
    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        stored_file = cast("StoredFile", context["original"])
        url = reverse(f"{self.admin_site.name}:pg_lo_storage_content", args=[stored_file.pk])
        context |= {
            "file_url": url,
            "preview_url": f"{url}?preview" if _image_type(stored_file) else None,
            "references": self._references(request, stored_file),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def _references(self, request: HttpRequest, stored_file: StoredFile) -> list[Reference]:
        """Return the rows that name the file, and that the role can read.

        This takes two queries for all columns, and one for each model that has such rows.
        """
        alias = cast("str", stored_file._state.db)
        quote = connections[alias].ops.quote_name
        fields: list[FileField] = []
        selects: list[str] = []
        params: list[object] = []
        for field, column in _readable_fields(alias):
            key_column = _key_of(field)
            condition, values = naming(column.text(alias), [stored_file.loid])
            selects.append(
                f"(select {len(fields)} as field,"  # noqa: S608 -- quoted
                f" {f'{quote(key_column.column)}::text' if key_column else 'null'} as key"
                f" from {quote(column.column.table)} where {condition} limit {_MOST_ROWS})"
            )
            params += values
            fields.append(field)
        found = ask(alias, " union all ".join(selects), *params) if selects else []
        rows = [(int(number), cast("str | None", key)) for number, key in found]
        keys: dict[type[models.Model], set[str]] = {fields[number].model: set() for number, _ in rows}
        for number, key in rows:
            keys[fields[number].model].update(() if key is None else (key,))
        visible = {model: self._visible(request, model, alias, keys[model]) for model in keys}
        return [self._reference(fields[number], key, visible[fields[number].model]) for number, key in rows]

    def _visible(
        self, request: HttpRequest, model: type[models.Model], alias: str, keys: set[str]
    ) -> Mapping[object, str | None]:
        """Return the URLs of the rows that this user may view, by their keys as text, in one query."""
        options = model._meta
        if not self.admin_site.is_registered(model):
            may_view = cast("User", request.user).has_perm(f"{options.app_label}.view_{options.model_name}")
            return dict.fromkeys(keys if may_view else ())
        model_admin = self.admin_site.get_model_admin(model)
        if not model_admin.has_view_permission(request):
            return {}
        view = f"{self.admin_site.name}:{options.app_label}_{options.model_name}_change"
        rows = model_admin.get_queryset(request).using(alias).filter(pk__in=keys)
        shown = {row.pk for row in rows if model_admin.has_view_permission(request, row)}
        found = {key: options.pk.to_python(key) for key in keys}
        return {key: reverse(view, args=[quote_key(pk)]) for key, pk in found.items() if pk in shown}

    def _reference(self, field: "FileField", key: str | None, visible: Mapping[object, str | None]) -> Reference:
        what = f"{field.model._meta.verbose_name} {{}}: {field.verbose_name}"
        return Reference(what.format(key if key in visible else "…"), visible.get(key))


def _may_see_all(request: HttpRequest) -> bool:
    return cast("User", request.user).is_superuser


def _is_text(term: str) -> bool:
    """Tell whether PostgreSQL can have such a text."""
    return _NO_TEXT.search(term) is None


def _image_type(stored_file: StoredFile) -> str | None:
    found = content_type_of(stored_file.name, stored_file.content_type)
    return found if found in _PREVIEWED else None


def _readable_fields(alias: str) -> "list[tuple[FileField, ExistingColumn]]":
    """Return the file fields with files on ``alias`` whose columns exist there and the role may read.

    Reading them, and the keys of their rows, runs nobody's code but PostgreSQL's own.
    """
    fields = sorted(file_fields(alias), key=str)
    wanted = {FileColumn.of(field) for field in fields}.union(key for field in fields if (key := _key_of(field)))
    known = {found.column: found for found in existing_columns(alias, sorted(wanted), OWN_TYPE) if found.may_read}
    keys = {None, *(column for column, found in known.items() if found.more == (True,))}
    return [
        (field, found)
        for field in fields
        if (found := known.get(FileColumn.of(field))) and found.is_readable and _key_of(field) in keys
    ]


def _key_of(field: "FileField") -> FileColumn | None:
    """Return the column of the primary key, ``None`` where it has several."""
    key = field.model._meta.pk
    return FileColumn.of(key) if key.column else None
