-- In a database that was restored from a dump, and whose column was renamed since, nothing else tells its triggers.
split_part(encode(t.tgargs, 'escape'), E'\\000', 2) <> member.root::text and not exists (
                select from pg_attribute as a where a.attrelid = member.root and not a.attisdropped
                and encode(convert_to(a.attname::text, getdatabaseencoding()), 'escape')
                    = split_part(encode(t.tgargs, 'escape'), E'\\000', 3))
