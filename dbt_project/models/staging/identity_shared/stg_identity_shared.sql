-- grain: one identifier that several people have and one of them who was erased
with source as (
    select * from {{ source('raw', 'identity_shared') }}
),

final as (
    select
        id_type,
        id_value,
        mark,
        customers,
        known_at
    from source
)

select * from final
