-- grain: one order x version, as each became known, with its customer
{{ config(materialized='table') }}
{%- set ids = [
    ('customer', 'customer_id'), ('email', 'email'), ('phone_name', 'phone_name'),
    ('device_name', 'device_name'), ('device', 'device_id'), ('phone', 'phone'),
] %}
{%- set text = dbt.type_string() %}
with headers as (
    select
        *,
        {{ composite_id('phone', 'name') }} as phone_name,
        {{ composite_id('device_id', 'name') }} as device_name
    from {{ ref('stg_orders_versions') }}
),

lines as (
    select * from {{ ref('int_orders__lines') }}
),

line_totals as (
    select
        order_id,
        min(customer_id) as customer_id,
        min(ordered_at) as ordered_at,
        min(channel) as channel,
        min(store_id) as store_id,
        min(currency) as currency,
        min(source) as source,
        count(*) as items,
        sum(case when status = 'completed' then 1 else 0 end) as completed_lines,
        sum(case when status = 'refunded' then 1 else 0 end) as refunded_lines,
        cast(sum(case when is_product then quantity else 0 end) as decimal(18, 4)) as units,
        cast(sum(discount) as decimal(18, 2)) as discount,
        cast(
            sum(case when is_product and status <> 'cancelled' then amount else 0 end)
            as decimal(18, 2)
        ) as revenue,
        cast(sum(case when base_amount > 0 then amount end) as decimal(18, 2)) as paid_amount,
        cast(sum(base_amount) as decimal(18, 2)) as base_amount,
        max(known_at) as known_at,
        min(first_known_at) as first_known_at
    from lines
    group by order_id
),

with_header as (
    select
        headers.order_id,
        headers.customer_id,
        headers.email,
        headers.phone,
        headers.phone_name,
        headers.device_id,
        headers.device_name,
        headers.ordered_at,
        {{ order_status('headers.status') }} as status,
        headers.channel,
        headers.store_id,
        line_totals.items,
        line_totals.units,
        cast(
            coalesce(
                headers.revenue,
                headers.total - coalesce(headers.shipping, 0) - coalesce(headers.tax, 0),
                line_totals.revenue - coalesce(headers.discount, 0),
                headers.subtotal - coalesce(headers.discount, 0),
                0
            ) as decimal(18, 2)
        ) as revenue,
        cast(
            coalesce(headers.discount, 0) + coalesce(line_totals.discount, 0) as decimal(18, 2)
        ) as discount,
        coalesce(headers.currency, line_totals.currency) as currency,
        headers.coupon,
        headers.campaign_id,
        headers.promised_at,
        headers.delivered_at,
        headers.cancelled_at,
        headers.refunded_at,
        line_totals.paid_amount,
        line_totals.base_amount,
        line_totals.known_at as lines_known_at,
        false as is_derived,
        headers.source,
        -- An order whose worth stands only in its lines is known when they are.
        case
            when headers.revenue is null and headers.total is null
                then greatest(headers.known_at, coalesce(line_totals.known_at, headers.known_at))
            else headers.known_at
        end as known_at,
        headers.next_known_at,
        headers.first_known_at,
        headers.is_latest
    from headers
    left join line_totals on headers.order_id = line_totals.order_id
),

derived as (
    select
        line_totals.order_id,
        line_totals.customer_id,
        cast(null as {{ text }}) as email,
        cast(null as {{ text }}) as phone,
        cast(null as {{ text }}) as phone_name,
        cast(null as {{ text }}) as device_id,
        cast(null as {{ text }}) as device_name,
        line_totals.ordered_at,
        case
            when line_totals.completed_lines = 0 and line_totals.refunded_lines = 0
                then 'cancelled'
            when line_totals.completed_lines = 0 then 'refunded'
            else 'completed'
        end as status,
        line_totals.channel,
        line_totals.store_id,
        line_totals.items,
        line_totals.units,
        line_totals.revenue,
        line_totals.discount,
        line_totals.currency,
        cast(null as {{ text }}) as coupon,
        cast(null as {{ text }}) as campaign_id,
        cast(null as timestamp) as promised_at,
        cast(null as timestamp) as delivered_at,
        cast(null as timestamp) as cancelled_at,
        cast(null as timestamp) as refunded_at,
        line_totals.paid_amount,
        line_totals.base_amount,
        line_totals.known_at as lines_known_at,
        true as is_derived,
        line_totals.source,
        -- Not before its last line is known: half an order would be a wrong order.
        line_totals.known_at,
        cast(null as timestamp) as next_known_at,
        line_totals.first_known_at,
        true as is_latest
    from line_totals
    left join (select distinct order_id from headers) as known_headers
        on line_totals.order_id = known_headers.order_id
    where known_headers.order_id is null and line_totals.ordered_at is not null
),

orders as (
    select * from with_header
    union all
    select * from derived
),

clock as (
    select * from {{ ref('int_run_clock') }}
),

final as (
    select
        orders.order_id,
        {{ resolved_customer(ids) }} as customer,
        {{ resolved_at('orders.known_at', ids) }} as attributed_at,
        orders.customer_id is null as is_guest,
        orders.device_id,
        orders.ordered_at,
        -- Money that went back is a refund, however the source words it.
        case
            when orders.revenue < 0 and orders.status = 'completed' then 'refunded'
            else orders.status
        end as status,
        orders.status = 'completed' and orders.revenue > 0 as is_purchase,
        orders.channel,
        orders.store_id,
        orders.items,
        orders.units,
        orders.revenue,
        orders.discount,
        orders.currency,
        orders.coupon,
        orders.campaign_id,
        orders.promised_at,
        orders.delivered_at,
        orders.cancelled_at,
        orders.refunded_at,
        cast(
            round({{ us_between('orders.promised_at', 'orders.delivered_at') }} / 86400000000.0, 2)
            as decimal(9, 2)
        ) as delay_days,
        orders.paid_amount,
        orders.base_amount,
        orders.lines_known_at,
        orders.is_derived,
        orders.source,
        orders.known_at,
        orders.next_known_at,
        orders.first_known_at,
        orders.is_latest
    from orders
    cross join clock
    {{ identity_joins('orders', ids) }}
    where cast(orders.ordered_at as date) <= clock.as_of
)

select * from final
