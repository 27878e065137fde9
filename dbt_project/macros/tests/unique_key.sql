{#-
    No two rows with the same key, and no key with a null in it. Of a table that was brought forward
    only the keys that it gained are looked at: the others were, when they came.
-#}
{% test unique_key(model, columns) %}
    {%- set key = columns | join(', ') %}
    {%- set since = increment_since() if is_brought_forward(model) else none %}
    {%- if since is not none %}
    with gained as (
        select {{ key }} from {{ rows_since('insertions', model, since) }}
    )
    {%- endif %}
    select
        {{ key }},
        count(*) as found
    from {{ model }}
    {%- if since is not none %}
    semi join gained using ({{ key }})
    {%- endif %}
    group by {{ key }}
    having
        count(*) > 1
        {%- for column in columns %}
        or {{ column }} is null
        {%- endfor %}
    {%- if since is not none %}
    union all
    select
        {{ key }},
        1 as found
    from gained
    where {% for column in columns %}{{ 'or ' if not loop.first }}{{ column }} is null {% endfor %}
    {%- endif %}
{% endtest %}
