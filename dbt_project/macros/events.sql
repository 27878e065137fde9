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

{#- Web and app events of a relation shaped as `stg_events`, with their customers. -#}
{% macro events_of(relation) -%}
{%- set ids = [
    ('customer', 'customer_id'), ('login', 'login'), ('email', 'email'),
    ('device', 'anonymous_id'), ('device', 'device_id'),
] %}
with events as (
    select
        *,
        -- An equality is what a hash join needs; a condition beside it made the join quadratic.
        case
            when activity in ('order_completed', 'order_refunded', 'order_cancelled') then order_id
        end as reported_order_id
    from {{ relation }}
),

orders as (
    select distinct order_id from {{ ref('int_orders__versions') }}
),

clock as (
    select * from {{ ref('int_run_clock') }}
),

final as (
    select
        'event:' || events.event_id as activity_id,
        events.ts,
        events.known_at,
        {{ resolved_at('events.known_at', ids) }} as attributed_at,
        {{ resolved_customer(ids) }} as customer,
        coalesce(events.anonymous_id, events.device_id) as anonymous_customer_id,
        events.activity,
        {{ json_of(
            ['platform', 'product_id', 'order_id', 'query', 'price', 'quantity', 'coupon',
             'campaign_id', 'referrer', 'utm_source', 'utm_medium', 'utm_campaign'],
            'attributes',
            'events'
        ) }} as feature_json,
        cast(null as decimal(18, 2)) as revenue_impact,
        events.currency,
        events.url as link,
        events.source,
        coalesce(by_customer_id.customer, by_login.customer, by_email.customer)
            as identified_customer,
        events.referrer,
        events.utm_source,
        events.utm_medium,
        events.utm_campaign,
        events.product_id
    from events
    cross join clock
    {{ identity_joins('events', ids) }}
    -- An order that the order system reports itself would count twice.
    left join orders on events.reported_order_id = orders.order_id
    where cast(events.ts as date) <= clock.as_of and orders.order_id is null
)
{%- endmacro %}
