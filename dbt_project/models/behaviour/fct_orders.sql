-- grain: one order, as last known; orders without header are derived from their lines
with orders as (
    select * from {{ ref('int_orders__versions') }}
    where is_latest
),

final as (
    select
        order_id,
        customer,
        ordered_at,
        first_known_at as known_at,
        known_at as updated_known_at,
        status,
        is_purchase,
        channel,
        store_id,
        cast(coalesce(items, 0) as bigint) as items,
        cast(coalesce(units, 0) as decimal(18, 4)) as units,
        revenue,
        discount,
        currency,
        coupon,
        campaign_id,
        promised_at,
        delivered_at,
        cancelled_at,
        refunded_at,
        delay_days,
        cast(paid_amount / nullif(base_amount, 0) as decimal(9, 4)) as price_index,
        is_guest,
        is_derived,
        source
    from orders
)

select * from final
