        (select attnum from pg_attribute
            where attrelid = member.root and attname = "@column@" and not attisdropped)
