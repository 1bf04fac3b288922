"""The views as real servers run them, in processes of their own."""

import os

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.uploads.settings"

wsgi = get_wsgi_application()
asgi = get_asgi_application()
