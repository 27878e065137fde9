-- grain: one product id, as last known
with versions as (
    select * from {{ ref('stg_products_versions') }}
),

final as (
    select
        product_id,
        sku,
        name,
        category,
        subcategory,
        brand,
        variant,
        price,
        cost,
        currency,
        launched_at,
        updated_at,
        attributes,
        source,
        known_at,
        first_known_at
    from versions
    where is_latest
)

select * from final
