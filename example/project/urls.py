"""Where things are."""

from django.contrib.auth.views import LoginView
from django.urls import path, re_path

from example.project.views import download, index

urlpatterns = [
    path("", index),
    path("login/", LoginView.as_view()),
    # What a stored name is made of; the view looks it up in the database, which takes no NUL.
    re_path(r"^files/(?P<filename>[\w.+-]+)$", download),
]
