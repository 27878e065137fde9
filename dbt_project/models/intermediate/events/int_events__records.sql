-- grain: one activity of any entity but web and app events, up to the run's day
{{ config(materialized='table') }}
{%- set entities = ['orders', 'tickets', 'feedback', 'messages', 'subscriptions'] %}
with clock as (
    select * from {{ ref('int_run_clock') }}
),

unioned as (
    {%- for entity in entities %}
    select
        {%- for column in event_columns() %}
        {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_events__' ~ entity) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select unioned.*
    from unioned
    cross join clock
    where cast(unioned.ts as date) <= clock.as_of
)

select * from final
