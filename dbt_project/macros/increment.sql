{#-
    Increments. A run that follows a published one brings its tables forward by what was loaded
    since; `raw.run.increment_since` is the snapshot of the warehouse that it begins from, and null
    when everything is to be built anew (orchestration/lib/increments.py decides, and says why).
    A model asks once, at its top, and writes its query either way; the materialization `increment`
    applies it. What was there then is read as a version of the warehouse.
-#}
{% macro increment_since() -%}
    {%- if not execute or should_full_refresh() -%}
        {{ return(none) }}
    {%- endif -%}
    {#- By name, as a unit test replaces sources by rows of its own. -#}
    {%- set found = run_query('select increment_since from memory.raw.run') -%}
    {{ return(found.rows[0][0]) }}
{%- endmacro %}

{#- Whether a relation is a table that increments bring forward. -#}
{% macro is_brought_forward(relation) -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() if node.relation_name == relation | string -%}
            {{ return(node.config.materialized == 'increment') }}
        {%- endfor -%}
    {%- endif -%}
    {{ return(false) }}
{%- endmacro %}

{#-
    The end of a model that can be brought forward: its rows, and the keys that go. What goes and
    comes again is replaced. `touched` is a relation of all keys that may have changed.
-#}
{% macro final_rows(since, rows, touched, key) -%}
final as (
    {%- if since is none %}
    select * from {{ rows }}
    {%- else %}
    select
        {{ rows }}.*,
        'changed' as _change
    from {{ rows }}
    union all by name
    select
        {{ key | join(',\n        ') }},
        'gone' as _change
    from {{ touched }}
    {%- endif %}
)
{%- endmacro %}

{#- A table as it stood at a snapshot. Not a `ref`: a model may read its own past. -#}
{% macro standing(layer, name, since) -%}
    (select * from {{ target.database }}.{{ layer }}.{{ name }} at (version => {{ since }}))
{%- endmacro %}

{#- The run's day, and the day of the run that is brought forward. -#}
{% macro run_days(clock, since) -%}
    select
        clock.as_of,
        before.as_of as was_as_of
    from {{ clock }} as clock
    cross join {{ standing('intermediate', 'int_run_clock', since) }} as before
{%- endmacro %}

{#- Rows that a table gained (`insertions`) or lost (`deletions`) since a snapshot. -#}
{% macro rows_since(kind, relation, since) -%}
    {%- set latest = run_query(
        "select max(snapshot_id) from ducklake_snapshots('" ~ relation.database ~ "')"
    ).rows[0][0] -%}
    {%- if latest <= since -%}
    (select * from {{ relation }} where 1 = 0)
    {%- else -%}
    ducklake_table_{{ kind }}(
        '{{ relation.database }}', '{{ relation.schema }}', '{{ relation.identifier }}',
        {{ since + 1 }}, {{ latest }}
    )
    {%- endif -%}
{%- endmacro %}

{#-
    A small relation that an increment works from, as a temporary table of the session:
    `{% call small('name') %}` query `{% endcall %}`. Of a CTE nobody knows how small it is, and a
    join with it puts ten million rows into memory to look up ten.
-#}
{% macro small(name) -%}
    {%- do run_query('create or replace temp table ' ~ name ~ ' as ' ~ caller()) -%}
{%- endmacro %}

{#- The moment or day that a query gives, as a literal: a scan that has it skips what is older. -#}
{% macro moment(query) -%}
    {%- set found = run_query(query).rows[0][0] -%}
    {{ return("cast(null as timestamp)" if found is none else "timestamp '" ~ found ~ "'") }}
{%- endmacro %}

{#- What a table gained and what it lost since a snapshot, as one relation of some columns. -#}
{% macro changed_since(relation, columns, since) -%}
    {%- for kind in ['insertions', 'deletions'] %}
    select
        {{ columns | join(',\n        ') }}
    from {{ rows_since(kind, relation, since) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- Whether a relation has rows. -#}
{% macro has_rows(relation) -%}
    {{ return(run_query('select 1 from ' ~ relation ~ ' limit 1').rows | length == 1) }}
{%- endmacro %}

{#- Keys whose row in `now` is not their row in `before`, or stands in one of them only. -#}
{% macro differing_keys(now, before, key, columns) -%}
    select
        {%- for column in key %}
        coalesce(now.{{ column }}, before.{{ column }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ now }} as now
    full outer join {{ before }} as before
        on
            {%- for column in key %}
            {{ 'and ' if not loop.first }}now.{{ column }} = before.{{ column }}
            {%- endfor %}
    where
        now.{{ key[0] }} is null
        or before.{{ key[0] }} is null
        {%- for column in columns if column not in key %}
        or now.{{ column }} is distinct from before.{{ column }}
        {%- endfor %}
{%- endmacro %}
