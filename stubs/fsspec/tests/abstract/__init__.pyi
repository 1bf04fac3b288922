from typing import Any

# Tests that subclasses, with fixtures of their own, are to pass.
class AbstractFixtures:
    def _10_files_with_hashed_names(self, some_fs: Any, some_join: Any, some_path: str) -> str: ...

class AbstractOpenTests: ...
class AbstractPipeTests: ...

class AbstractCopyTests:
    test_copy_file_to_file_in_existing_directory: Any
    test_copy_with_source_and_destination_as_list: Any

class AbstractGetTests:
    test_get_file_to_file_in_existing_directory: Any
    test_get_file_to_file_in_new_directory: Any
    test_get_with_source_and_destination_as_list: Any

class AbstractPutTests:
    test_put_file_to_file_in_existing_directory: Any
    test_copy_with_source_and_destination_as_list: Any
