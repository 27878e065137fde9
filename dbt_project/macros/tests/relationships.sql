{#-
    dbt's own, of a table that was brought forward: looked for are the values that it gained, and
    those that the other table lost meanwhile.
-#}
{% test relationships(model, column_name, to, field) %}
    {%- set since = increment_since() if is_brought_forward(model) else none %}
    {%- if since is none %}
    select child.{{ column_name }} as missing
    from {{ model }} as child
    left join {{ to }} as parent on child.{{ column_name }} = parent.{{ field }}
    where child.{{ column_name }} is not null and parent.{{ field }} is null
    {%- else %}
    {%- call small('lost') %}
    select {{ field }} as missing
    from {{ standing(to.schema, to.identifier, since) }}
    except
    select {{ field }} as missing
    from {{ to }}
    {%- endcall %}
    select gained.{{ column_name }} as missing
    from {{ rows_since('insertions', model, since) }} as gained
    left join {{ to }} as parent on gained.{{ column_name }} = parent.{{ field }}
    where gained.{{ column_name }} is not null and parent.{{ field }} is null
    {%- if has_rows('lost') %}
    union all
    select child.{{ column_name }} as missing
    from {{ model }} as child
    inner join lost on child.{{ column_name }} = lost.missing
    {%- endif %}
    {%- endif %}
{% endtest %}
