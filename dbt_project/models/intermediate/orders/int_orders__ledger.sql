-- grain: one change in what was known of an order: a version adds, the next takes back
{#
    The two clocks of orders. Each version of an order counts from when it became known until the
    next version replaced it, so the sum of all rows known by a day is what stood on that day.
#}
with versions as (
    select * from {{ ref('int_orders__versions') }}
    where customer is not null
),

{%- set measures = [
    'orders', 'revenue', 'discount', 'coupons', 'units', 'price_paid', 'price_base', 'refunds',
    'refunded_amount', 'deliveries', 'late_deliveries', 'delay_days',
] %}

{%- set facts = [
    ('ordered_at', 'known_at', 'is_purchase', {
        'orders': '1', 'revenue': 'revenue', 'discount': 'discount',
        'coupons': 'case when coupon is null then 0 else 1 end',
    }),
    ('ordered_at', 'greatest(known_at, lines_known_at)',
        'is_purchase and lines_known_at is not null', {
        'units': 'coalesce(units, 0)', 'price_paid': 'coalesce(paid_amount, 0)',
        'price_base': 'coalesce(base_amount, 0)',
    }),
    ('coalesce(refunded_at, ordered_at)', 'known_at', "status in ('refunded', 'returned')", {
        'refunds': '1', 'refunded_amount': 'abs(revenue)',
    }),
    ('delivered_at', 'known_at', 'delivered_at is not null', {
        'deliveries': '1', 'late_deliveries': 'case when delay_days > 0 then 1 else 0 end',
        'delay_days': 'case when delay_days > 0 then delay_days else 0 end',
    }),
] %}

facts as (
    {%- for moment, known, condition, values in facts %}
    select
        order_id,
        customer,
        cast({{ moment }} as date) as day,
        greatest({{ known }}, attributed_at) as known_at,
        case
            when next_known_at is not null
                then greatest({{ known }}, attributed_at, next_known_at)
        end as until_at,
        {%- for measure in measures %}
        {%- set value = values.get(measure, '0') %}
        cast({{ value }} as decimal(18, 2)) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from versions
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        order_id,
        customer,
        day,
        known_at,
        {%- for measure in measures %}
        {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from facts
    union all
    select
        order_id,
        customer,
        day,
        until_at as known_at,
        {%- for measure in measures %}
        cast(-{{ measure }} as decimal(18, 2)) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from facts
    where until_at is not null
)

select * from final
