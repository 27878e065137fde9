-- grain: one identifier (type and token) that has a customer
with map as (
    select * from {{ ref('int_identity__map') }}
),

final as (
    select
        id_type,
        id_value,
        customer,
        is_known,
        rule,
        known_at
    from map
)

select * from final
