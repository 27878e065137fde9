-- grain: one order line, as last known
with source as (
    select
        *,
        -- Where the source numbers no lines, each record is a line of its own.
        case
            when line_number is not null then cast(line_number as {{ dbt.type_string() }})
            else _batch_id || '#' || cast(_row_number as {{ dbt.type_string() }})
        end as line_key
    from ({{ known_rows('order_items') }}) as known
),

ranked as (
    select
        order_id,
        line_key,
        line_number,
        product_id,
        customer_id,
        ordered_at,
        quantity,
        unit_price,
        discount,
        amount,
        lower(trim(status)) as status,
        lower(trim(channel)) as channel,
        store_id,
        currency,
        is_product,
        attributes,
        _source as source,
        _known_at as known_at,
        min(_known_at) over (partition by order_id, line_key) as first_known_at,
        {{ version_rank(['order_id', 'line_key']) }} as version_rank
    from source
),

final as (
    select
        order_id,
        line_key,
        line_number,
        product_id,
        customer_id,
        ordered_at,
        quantity,
        unit_price,
        discount,
        amount,
        status,
        channel,
        store_id,
        currency,
        is_product,
        attributes,
        source,
        known_at,
        first_known_at
    from ranked
    where version_rank = 1
)

select * from final
