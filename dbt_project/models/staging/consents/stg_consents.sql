-- grain: one row per customer, purpose and beginning, as last known
with source as (
    {{ known_rows('consents') }}
),

ranked as (
    select
        customer_id,
        lower(trim(purpose)) as purpose,
        lower(trim(status)) as status,
        lower(trim(basis)) as basis,
        valid_from,
        valid_to,
        lower(trim(channel)) as channel,
        attributes,
        _source as source,
        _known_at as known_at,
        min(_known_at) over (
            partition by customer_id, purpose, valid_from
        ) as first_known_at,
        {{ version_rank(['customer_id', 'purpose', 'valid_from']) }} as version_rank
    from source
),

final as (
    select
        customer_id,
        purpose,
        status,
        basis,
        valid_from,
        valid_to,
        channel,
        attributes,
        source,
        known_at,
        first_known_at
    from ranked
    where version_rank = 1
)

select * from final
