-- grain: one activity of an order (with header or derived from its lines)
with versions as (
    select * from {{ ref('int_orders__versions') }}
),

-- When each fact was first known; its value is the latest.
known as (
    select
        order_id,
        min(case when status in ('completed', 'refunded', 'returned') then known_at end)
            as completed_known_at,
        min(case when status in ('refunded', 'returned') then known_at end) as refunded_known_at,
        min(case when status = 'cancelled' then known_at end) as cancelled_known_at,
        min(case when delivered_at is not null then known_at end) as delivered_known_at
    from versions
    group by order_id
),

orders as (
    select
        versions.*,
        known.completed_known_at,
        known.refunded_known_at,
        known.cancelled_known_at,
        known.delivered_known_at
    from versions
    inner join known on versions.order_id = known.order_id
    where versions.is_latest
),

final as (
    {{ activities('orders', 'order', 'order_id',
        ['order_id', 'status', 'channel', 'store_id', 'items', 'units', 'discount', 'coupon',
         'campaign_id', 'delay_days'],
        [
            ['completed', "'order_completed'", 'ordered_at', 'completed_known_at', 'revenue',
             "status in ('completed', 'refunded', 'returned') and revenue >= 0"],
            ['refunded', "'order_refunded'", 'coalesce(refunded_at, ordered_at)',
             'refunded_known_at', '-abs(revenue)', "status in ('refunded', 'returned')"],
            ['cancelled', "'order_cancelled'", 'coalesce(cancelled_at, ordered_at)',
             'cancelled_known_at', none, "status = 'cancelled'"],
            ['delivered', "'order_delivered'", 'delivered_at', 'delivered_known_at', none, none],
        ],
        'currency'
    ) }}
)

select * from final
