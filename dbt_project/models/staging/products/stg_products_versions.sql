-- grain: one version of a record (product id x version), as each became known
with source as (
    {{ known_rows('products') }}
),

final as (
    select
        product_id,
        sku,
        name,
        category,
        subcategory,
        brand,
        lower(trim(variant)) as variant,
        price,
        cost,
        currency,
        launched_at,
        updated_at,
        attributes,
        _source as source,
        _known_at as known_at,
        lead(_known_at) over (
            partition by product_id
            order by {{ version_order() }}
        ) as next_known_at,
        min(_known_at) over (partition by product_id) as first_known_at,
        {{ version_rank(['product_id']) }} = 1 as is_latest
    from source
)

select * from final
