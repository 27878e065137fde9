-- grain: one row per customer id and snapshot time, as last known
with source as (
    {{ known_rows('profile_snapshots') }}
),

ranked as (
    select
        customer_id,
        taken_at,
        attributes,
        _source as source,
        _known_at as known_at,
        min(_known_at) over (
            partition by customer_id, taken_at
        ) as first_known_at,
        {{ version_rank(['customer_id', 'taken_at']) }} as version_rank
    from source
),

final as (
    select
        customer_id,
        taken_at,
        attributes,
        source,
        known_at,
        first_known_at
    from ranked
    where version_rank = 1
)

select * from final
