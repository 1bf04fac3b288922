from django.urls import path

from tests.predecessor.lo_storage.views import invlice_serve
from tests.predecessor.warehouse.views import serve

urlpatterns = [
    path("invoice/<str:filename>", invlice_serve),
    path("files/<str:filename>", serve),
]
