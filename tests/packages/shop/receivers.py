"""What drops thumbnails of pictures that are gone."""

from easy_thumbnails.files import ThumbnailerFieldFile
from sorl.thumbnail import delete
from sorl.thumbnail.images import ImageFile

from pg_lo_storage.storage import db_file_storage
from tests.packages.shop.models import Photo


def drop_thumbnails_of_easy(name: str, **_signal: object) -> None:
    ThumbnailerFieldFile(None, Photo._meta.get_field("image"), name).delete_thumbnails()


def drop_thumbnails_of_sorl(name: str, **_signal: object) -> None:
    delete(ImageFile(name, db_file_storage), delete_file=False)
