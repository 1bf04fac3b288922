    perform set_config('standard_conforming_strings', strings, true);
    perform set_config('search_path', path, true);
