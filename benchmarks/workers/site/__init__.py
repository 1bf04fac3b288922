"""A Django project whose default storage is the contender's."""
