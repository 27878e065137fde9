-- grain: one order id, as last known
with versions as (
    select * from {{ ref('stg_orders_versions') }}
),

final as (
    select
        order_id,
        customer_id,
        email,
        phone,
        name,
        device_id,
        ordered_at,
        status,
        channel,
        store_id,
        subtotal,
        discount,
        shipping,
        tax,
        total,
        revenue,
        currency,
        coupon,
        campaign_id,
        promised_at,
        delivered_at,
        cancelled_at,
        refunded_at,
        updated_at,
        attributes,
        source,
        known_at,
        first_known_at
    from versions
    where is_latest
)

select * from final
