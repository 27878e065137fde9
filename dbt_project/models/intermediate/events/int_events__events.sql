-- grain: one web or app event, with its customer
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
    from {{ ref('stg_events') }}
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

select * from final
