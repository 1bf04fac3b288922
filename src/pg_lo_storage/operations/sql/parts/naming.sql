-- Few are looked for by an index where the column has one, many in one pass over the table.
        case when cardinality(loids) > "@few@" then format($naming$"@any@"$naming$, source)
            else (select string_agg(format($naming$"@one@"$naming$, source,
                loid, loid || '.', loid || '/'), ' or ') from unnest(loids) as loid) end
