"""The URLs of stored files, below the URL of the view that serves them."""

from datetime import timedelta
from urllib.parse import quote

from django.conf import settings
from typing_extensions import override

from pg_lo_storage.storage.placed import PlacedStorage
from pg_lo_storage.storage.signing import signed_url

__all__ = ["StorageWithURLs"]


class StorageWithURLs(PlacedStorage):
    """The part of :class:`DbFileStorage` that makes URLs."""

    def __init__(self, base_url: str | None, alias: str | None, *, signed: bool, max_age: float | timedelta) -> None:
        super().__init__(alias)
        self._base_url = base_url
        self._signed = signed
        self._max_age = max_age

    @property
    def base_url(self) -> str | None:
        """The beginning of the files' URLs, with a slash at the end."""
        base_url: str | None = settings.MEDIA_URL if self._base_url is None else self._base_url
        return base_url if base_url is None or base_url.endswith("/") else f"{base_url}/"

    @override
    def url(self, name: str | None) -> str:
        """Return the file's URL, which is below ``base_url`` whatever the name.

        :raises ValueError: there is no ``base_url``.
        """
        return self.signed_url(name or "") if self._signed else self._unsigned_url(name)

    def signed_url(
        self, name: str, *, max_age: float | timedelta | None = None, as_attachment: bool | None = None
    ) -> str:
        """Return a URL with the right to read the file for ``max_age`` seconds (default: the storage's).

        ``as_attachment`` has the view offer the file for download, or show it, whatever the view's own default.

        :raises ValueError: ``max_age`` is not positive, or there is no ``base_url``.
        """
        return signed_url(
            self._unsigned_url(name),
            name,
            base_url=self.base_url or "",
            alias=self.write_alias,
            row_alias=self.row_alias,
            max_age=self._max_age if max_age is None else max_age,
            as_attachment=as_attachment,
        )

    def _unsigned_url(self, name: str | None) -> str:
        if self.base_url is None:
            message = "This file is not accessible via a URL: set MEDIA_URL, or pass base_url to DbFileStorage."
            raise ValueError(message)
        # Browsers resolve "." and ".." even where they are percent-encoded.
        segment = name if name and name.strip(".") else ""
        return self.base_url + quote(segment, safe="", errors="replace")
