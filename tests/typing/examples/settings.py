"""Django's settings, for the plugin of django-stubs."""

SECRET_KEY = "types only"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "examples"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql"}}
AUTH_USER_MODEL = "auth.User"
