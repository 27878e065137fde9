-- grain: one row per device id and customer id, as last known
with source as (
    {{ known_rows('devices') }}
),

ranked as (
    select
        device_id,
        anonymous_id,
        customer_id,
        lower(trim(platform)) as platform,
        os,
        browser,
        model,
        first_seen_at,
        last_seen_at,
        attributes,
        _source as source,
        _known_at as known_at,
        min(_known_at) over (
            partition by device_id, customer_id
        ) as first_known_at,
        {{ version_rank(['device_id', 'customer_id']) }} as version_rank
    from source
),

final as (
    select
        device_id,
        anonymous_id,
        customer_id,
        platform,
        os,
        browser,
        model,
        first_seen_at,
        last_seen_at,
        attributes,
        source,
        known_at,
        first_known_at
    from ranked
    where version_rank = 1
)

select * from final
