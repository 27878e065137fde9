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

{#-
    What decides between versions of a record that became known at one moment: nobody knows which is
    the later, so their content's hash does, whatever file, batch or row they came in.
-#}
{% macro version_ties(direction='asc') -%}
    {%- for column in ['_record_hash', '_source', '_batch_id', '_row_number'] -%}
        {{ column }} {{ direction }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- The order of a record's versions. -#}
{% macro version_order(direction='asc') -%}
    _known_at {{ direction }}, {{ version_ties(direction) }}
{%- endmacro %}

{#- Rank of a version within its record: 1 is the latest. -#}
{% macro version_rank(key) -%}
    row_number() over (
        partition by {{ key | join(', ') }}
        order by {{ version_order('desc') }}
    )
{%- endmacro %}
