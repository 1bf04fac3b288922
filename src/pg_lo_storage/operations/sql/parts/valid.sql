-- The rule of names.parse_name().
case when name ~ '^[1-9][0-9]{0,9}(\.[^/\\\u0001-\u001f\u007f-\u009f]*)?$'
        then split_part(name, '.', 1)::int8 <= 4294967295
            and length(name) - length(split_part(name, '.', 1)) <= 101 end
