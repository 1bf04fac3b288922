-- The column may have had another name when the trigger was made.
t.tgname = any("@all_names@")
                or split_part(encode(t.tgargs, 'escape'), E'\\000', 1) = number::text
                and split_part(encode(t.tgargs, 'escape'), E'\\000', 2) = member.root::text
