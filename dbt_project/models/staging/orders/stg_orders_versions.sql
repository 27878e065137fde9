-- grain: one version of a record (order id x version), as each became known
with source as (
    {{ known_rows('orders') }}
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
        lower(trim(status)) as status,
        lower(trim(channel)) as channel,
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
        _source as source,
        _known_at as known_at,
        lead(_known_at) over (
            partition by order_id
            order by {{ version_order() }}
        ) as next_known_at,
        min(_known_at) over (partition by order_id) as first_known_at,
        {{ version_rank(['order_id']) }} = 1 as is_latest
    from source
)

select * from final
