-- Nothing else finds the triggers of a column that was renamed after its database was restored from a dump.
split_part(encode(t.tgargs, 'escape'), E'\\000', 2) <> member.root::text and not exists (
                select from pg_attribute as a where a.attrelid = member.root and not a.attisdropped
                and encode(convert_to(a.attname::text, getdatabaseencoding()), 'escape')
                    = split_part(encode(t.tgargs, 'escape'), E'\\000', 3))
