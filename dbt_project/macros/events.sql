{#- The columns that every `int_events__<entity>` has, in order: the stream is their union. -#}
{% macro event_columns() -%}
    {{ return([
        'activity_id', 'ts', 'known_at', 'attributed_at', 'customer', 'anonymous_customer_id',
        'activity', 'feature_json', 'revenue_impact', 'currency', 'link', 'source',
    ]) }}
{%- endmacro %}

{#-
    Activities from the moments of a record. `activities` is a list of
    [suffix of the activity id, activity, moment, known_at, revenue or none, condition or none].
-#}
{% macro activities(relation, entity, key, features, activities, currency=none) -%}
    {%- for suffix, activity, moment, known_at, revenue, condition in activities %}
    select
        '{{ entity }}:' || {{ key }} || '{{ ":" ~ suffix if suffix else "" }}' as activity_id,
        {{ moment }} as ts,
        {{ known_at }} as known_at,
        greatest({{ known_at }}, attributed_at) as attributed_at,
        customer,
        cast(null as {{ dbt.type_string() }}) as anonymous_customer_id,
        {{ activity }} as activity,
        {{ json_of(features, 'attributes' if entity != 'order' else none) }} as feature_json,
        cast({{ revenue if revenue else 'null' }} as decimal(18, 2)) as revenue_impact,
        {{ currency if currency else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as currency,
        cast(null as {{ dbt.type_string() }}) as link,
        source
    from {{ relation }}
    where {{ moment }} is not null
    {%- if condition %} and {{ condition }}{% endif %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
