"""A site whose files move, as a real server runs it."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import path
from django.urls.resolvers import URLPattern

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.moving.settings"

wsgi = get_wsgi_application()

from pg_lo_storage.views import DbFileView  # noqa: E402 -- models come after the settings
from tests.moving.letters.models import Letter  # noqa: E402 -- models come after the settings

urlpatterns: list[URLPattern] = [path("<int:pk>/", DbFileView.as_view(model=Letter, field="data"))]
