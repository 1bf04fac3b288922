"""fsspec's own tests of filesystems, as far as they need neither folders nor names of the caller's choice.

A name is an oid here, so that ``fs_join`` gives each path that a test makes up the name of an object. Left out are, of
the tests of copy, get and put alike, those of

- ``..._to_existing_directory`` and ``..._to_new_directory``, also of lists, globs and ``two_files``: they look for a
  copy in a folder, under its source's name;
- ``copy_file_to_file_in_new_directory`` and ``put_file_to_file_in_new_directory``: they ask whether that is a folder;
- ``..._directory_recursive``, ``..._directory_without_files_with_same_name_prefix``, ``..._glob_edge_cases``: they copy
  folders, or find files by parts of a folder's name;

and of ``mv`` all, which are about the local filesystem.
"""

from collections.abc import Callable
from typing import ClassVar

import pytest
from fsspec.tests.abstract import (
    AbstractCopyTests,
    AbstractFixtures,
    AbstractGetTests,
    AbstractOpenTests,
    AbstractPipeTests,
    AbstractPutTests,
)

from pg_lo_storage.contrib.fsspec import PgLoFileSystem


class Fixtures(AbstractFixtures):
    """Files of the tests' by numbers."""

    root: ClassVar[str] = ""

    @pytest.fixture
    def fs(self, filesystem: PgLoFileSystem) -> PgLoFileSystem:
        return filesystem

    @pytest.fixture
    def fs_path(self) -> str:
        return self.root

    @pytest.fixture
    def fs_join(self, free_name: Callable[[], str]) -> Callable[..., str]:
        names: dict[str, str] = {}

        def join(*parts: str) -> str:
            return names.setdefault("/".join(parts), free_name())

        return join

    @pytest.fixture
    def fs_target(self, free_name: Callable[[], str]) -> str:
        return free_name()

    @pytest.fixture
    def fs_bulk_operations_scenario_0(self, fs: PgLoFileSystem, fs_join: Callable[..., str]) -> str:
        fs.touch(fs_join("source", "subdir", "subfile1"))
        return "source"

    @pytest.fixture
    def fs_10_files_with_hashed_names(self, fs: PgLoFileSystem, fs_join: Callable[..., str]) -> str:
        return self._10_files_with_hashed_names(fs, fs_join, self.root)


class TestOpen(Fixtures, AbstractOpenTests):
    """Exclusive creation."""


class TestPipe(Fixtures, AbstractPipeTests):
    """Exclusive creation, and replacing."""


class TestCopy(Fixtures):
    """A file to a file, and lists of both."""

    @pytest.fixture
    def fs_target(self) -> str:
        return self.root

    test_file_to_file = AbstractCopyTests.test_copy_file_to_file_in_existing_directory
    test_lists = AbstractCopyTests.test_copy_with_source_and_destination_as_list


class TestGet(Fixtures):
    """A file to a file, and lists of both."""

    test_file_to_file = AbstractGetTests.test_get_file_to_file_in_existing_directory
    test_file_to_file_in_new_directory = AbstractGetTests.test_get_file_to_file_in_new_directory
    test_lists = AbstractGetTests.test_get_with_source_and_destination_as_list


class TestPut(Fixtures):
    """A file to a file, and lists of both."""

    @pytest.fixture
    def fs_target(self) -> str:
        return self.root

    test_file_to_file = AbstractPutTests.test_put_file_to_file_in_existing_directory
    test_lists = AbstractPutTests.test_copy_with_source_and_destination_as_list
