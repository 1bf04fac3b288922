"""The settings of processes that tests of this folder start."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS.append("tests.erasing.desk")
PG_LO_STORAGE_REFERENCES = ["desk.Version.data"]
