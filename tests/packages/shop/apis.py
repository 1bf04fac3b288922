"""What djangorestframework and django-ninja offer over HTTP."""

from django.http import HttpRequest
from ninja import File, ModelSchema, NinjaAPI
from ninja.files import UploadedFile
from rest_framework.parsers import MultiPartParser
from rest_framework.routers import DefaultRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

from tests.packages.shop.models import Paper


class PaperSerializer(ModelSerializer):
    class Meta:
        model = Paper
        fields = ("id", "title", "file")


class PaperViewSet(ModelViewSet):
    queryset = Paper.objects.order_by("pk")
    serializer_class = PaperSerializer
    parser_classes = (MultiPartParser,)


router = DefaultRouter()
router.register("papers", PaperViewSet)

ninja_api = NinjaAPI()


class PaperSchema(ModelSchema):
    class Meta:
        model = Paper
        fields = ("id", "title", "file")


@ninja_api.post("/papers", response=PaperSchema)
def upload(request: HttpRequest, file: File[UploadedFile]) -> Paper:  # noqa: ARG001 -- ninja names it
    return Paper.objects.create(title=file.name, file=file)


@ninja_api.post("/papers/{pk}", response=PaperSchema)
def replace(request: HttpRequest, pk: int, file: File[UploadedFile]) -> Paper:  # noqa: ARG001 -- ninja names it
    paper = Paper.objects.get(pk=pk)
    paper.file = file
    paper.save()
    return paper


@ninja_api.get("/papers/{pk}", response=PaperSchema)
def read(request: HttpRequest, pk: int) -> Paper:  # noqa: ARG001 -- ninja names it
    return Paper.objects.get(pk=pk)
