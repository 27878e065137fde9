{#
    One commit a model. dbt's own materializations build beside the old relation, swap, commit, and
    drop the old one in a second commit; on DuckLake a commit costs more than most of our models
    (35 to 170 ms measured), so the drop moves into the same transaction. Readers are pinned to a
    published snapshot and never see the swap.
#}
{% materialization table, adapter='duckdb' %}
    {%- set target = this.incorporate(type='table') -%}
    {%- set staged = make_intermediate_relation(target) -%}
    {%- set leftover = load_cached_relation(staged) -%}
    {%- set existing = load_cached_relation(this) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ drop_relation_if_exists(leftover) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('main') -%}
        {{ create_table_as(False, staged, compiled_code) }}
    {%- endcall %}
    {%- if existing is not none %}
        {{ adapter.drop_relation(existing) }}
    {%- endif %}
    {{ adapter.rename_relation(staged, target) }}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do persist_docs(target, model) %}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{#
    A table that is brought forward. With `increment_since()` the model's query gives, beside its
    own columns, `_change`: `new` rows are added; rows whose key comes as `changed` or `gone` are
    removed, and those that come as `changed` added again. Without it, the model is a table.
#}
{% materialization increment, adapter='duckdb', supported_languages=['sql'] %}
    {%- if increment_since() is none -%}
        {{ return(materialization_table_duckdb()) }}
    {%- endif -%}
    {%- set target = this.incorporate(type='table') -%}
    {%- set key = config.require('unique_key') -%}
    {%- set key = [key] if key is string else key -%}
    {%- set names = adapter.get_columns_in_relation(target) | map(attribute='quoted') | join(', ') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('changes') -%}
        create or replace temp table changes as {{ compiled_code }}
    {%- endcall %}
    {%- set removed = run_query("select count(*) from changes where _change <> 'new'").rows[0][0] -%}
    {%- if removed > 0 %}
        {% call statement('remove') -%}
            delete from {{ target }} where
            {%- if key | length == 1 %} {{ key[0] }} {% else %} ({{ key | join(', ') }}) {% endif -%}
            in (select {{ key | join(', ') }} from changes where _change <> 'new')
        {%- endcall %}
    {%- endif %}
    {% call statement('main') -%}
        insert into {{ target }} ({{ names }}) select {{ names }} from changes where _change <> 'gone'
    {%- endcall %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}


{#
    A view whose text did not change is left alone: its digest stands in its comment. Thirty views
    would otherwise be thirty commits a run for nothing.
#}
{% materialization view, adapter='duckdb' %}
    {%- set target = this.incorporate(type='view') -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set digest = local_md5(sql) -%}
    {%- set is_current = false -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {%- if existing is not none and existing.is_view %}
        {%- set comments = run_query(
            "select comment from duckdb_views() where database_name = '" ~ this.database
            ~ "' and schema_name = '" ~ this.schema ~ "' and view_name = '" ~ this.identifier ~ "'"
        ) -%}
        {%- set is_current = comments.rows | length == 1 and comments.rows[0][0] == digest -%}
    {%- endif %}
    {%- if is_current and not should_full_refresh() %}
        {%- call noop_statement('main', 'UNCHANGED') -%}{%- endcall %}
    {%- else %}
        {{ run_hooks(pre_hooks, inside_transaction=True) }}
        {%- if existing is not none %}
            {{ adapter.drop_relation(existing) }}
        {%- endif %}
        {% call statement('main') -%}
            {{ get_create_view_as_sql(target, sql) }}
        {%- endcall %}
        {% call statement('digest') -%}
            comment on view {{ target }} is '{{ digest }}'
        {%- endcall %}
        {{ run_hooks(post_hooks, inside_transaction=True) }}
        {{ adapter.commit() }}
    {%- endif %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}
