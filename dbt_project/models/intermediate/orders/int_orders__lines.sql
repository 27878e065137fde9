-- grain: one order line, with its amount and its price beside the product's first known price
{{ config(materialized='table') }}
with items as (
    select * from {{ ref('stg_order_items') }}
),

products as (
    select * from {{ ref('stg_products_versions') }}
),

list_prices as (
    select
        product_id,
        min(price) as price
    from products
    where price > 0 and known_at = first_known_at
    group by product_id
),

lines as (
    select
        order_id,
        line_key,
        line_number,
        product_id,
        customer_id,
        ordered_at,
        case
            when status in ('cancelled', 'canceled') then 'cancelled'
            when status in ('refunded', 'returned') then 'refunded'
            else 'completed'
        end as status,
        channel,
        store_id,
        currency,
        coalesce(is_product, true) as is_product,
        cast(coalesce(quantity, 1) as decimal(18, 4)) as quantity,
        cast(coalesce(discount, 0) as decimal(18, 4)) as discount,
        cast(
            coalesce(amount, quantity * unit_price - coalesce(discount, 0), 0) as decimal(18, 4)
        ) as amount,
        source,
        known_at,
        first_known_at
    from items
),

-- Products without a list price: what they were first sold for.
first_sales as (
    select
        product_id,
        ordered_at,
        min(cast(amount / quantity as decimal(18, 4))) as price
    from lines
    where is_product and quantity > 0 and amount > 0 and ordered_at is not null
    group by product_id, ordered_at
),

first_sale_prices as (
    select
        product_id,
        min_by(price, ordered_at) as price
    from first_sales
    group by product_id
),

final as (
    select
        lines.order_id,
        lines.line_key,
        lines.line_number,
        lines.product_id,
        lines.customer_id,
        lines.ordered_at,
        lines.status,
        lines.channel,
        lines.store_id,
        lines.currency,
        lines.is_product,
        lines.quantity,
        lines.discount,
        lines.amount,
        case
            when lines.is_product and lines.quantity > 0 and lines.status = 'completed'
                then cast(
                    lines.quantity * coalesce(list_prices.price, first_sale_prices.price)
                    as decimal(18, 4)
                )
        end as base_amount,
        lines.source,
        lines.known_at,
        lines.first_known_at
    from lines
    left join list_prices on lines.product_id = list_prices.product_id
    left join first_sale_prices on lines.product_id = first_sale_prices.product_id
)

select * from final
