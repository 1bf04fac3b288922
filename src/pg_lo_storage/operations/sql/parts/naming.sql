-- Few are looked for by an index where the column has one, many in one pass over the table.
        case when cardinality(loids) > 20 then format('split_part(%s, ''.'', 1) = any($1)', source)
            else (select string_agg(format('%1$s = %2$L or %1$s ~>=~ %3$L and %1$s ~<~ %4$L', source,
                loid, loid || '.', loid || '/'), ' or ') from unnest(loids) as loid) end
