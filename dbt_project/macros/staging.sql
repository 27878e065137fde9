{#-
    The rows of a raw entity that were known on the day that the run asks for: all of them, or
    those up to `run.as_of`. Every staging model begins with it.
-#}
{% macro known_rows(entity) -%}
    select source.*
    from {{ source('raw', entity) }} as source
    cross join {{ source('raw', 'run') }} as run
    where run.as_of is null or cast(source._known_at as date) <= run.as_of
{%- endmacro %}

{#- Rank of a version within its record: 1 is the latest. Ties by batch and row. -#}
{% macro version_rank(key) -%}
    row_number() over (
        partition by {{ key | join(', ') }}
        order by _known_at desc, _batch_id desc, _row_number desc
    )
{%- endmacro %}
