-- grain: one product that is listed or was sold
with products as (
    select * from {{ ref('stg_products') }}
),

lines as (
    select * from {{ ref('int_orders__lines') }}
),

orders as (
    select * from {{ ref('fct_orders') }}
),

sold as (
    select
        lines.product_id,
        min(orders.ordered_at) as first_sold_at,
        max(orders.ordered_at) as last_sold_at,
        count(distinct lines.order_id) as orders,
        cast(sum(lines.quantity) as decimal(18, 4)) as units,
        cast(sum(lines.amount) as decimal(18, 2)) as revenue,
        max(case when lines.is_product then 1 else 0 end) = 1 as is_product
    from lines
    inner join orders on lines.order_id = orders.order_id
    where lines.product_id is not null and lines.status = 'completed' and orders.is_purchase
    group by lines.product_id
),

ids as (
    select product_id from products
    union
    select product_id from lines
    where product_id is not null
),

final as (
    select
        ids.product_id,
        products.sku,
        products.name,
        products.category,
        products.subcategory,
        products.brand,
        products.variant,
        products.price,
        products.cost,
        products.currency,
        products.launched_at,
        products.product_id is not null as is_listed,
        coalesce(sold.is_product, true) as is_product,
        sold.first_sold_at,
        sold.last_sold_at,
        cast(coalesce(sold.orders, 0) as bigint) as orders,
        cast(coalesce(sold.units, 0) as decimal(18, 4)) as units,
        cast(coalesce(sold.revenue, 0) as decimal(18, 2)) as revenue,
        products.first_known_at as known_at,
        products.source
    from ids
    left join products on ids.product_id = products.product_id
    left join sold on ids.product_id = sold.product_id
)

select * from final
