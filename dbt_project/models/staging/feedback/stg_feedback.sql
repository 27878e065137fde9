-- grain: one row per feedback id, as last known
with source as (
    {{ known_rows('feedback') }}
),

ranked as (
    select
        feedback_id,
        lower(trim(kind)) as kind,
        customer_id,
        email,
        submitted_at,
        score,
        score_max,
        product_id,
        order_id,
        lower(trim(channel)) as channel,
        language,
        body,
        attributes,
        _source as source,
        _known_at as known_at,
        min(_known_at) over (
            partition by feedback_id
        ) as first_known_at,
        {{ version_rank(['feedback_id']) }} as version_rank
    from source
),

final as (
    select
        feedback_id,
        kind,
        customer_id,
        email,
        submitted_at,
        score,
        score_max,
        product_id,
        order_id,
        channel,
        language,
        body,
        attributes,
        source,
        known_at,
        first_known_at
    from ranked
    where version_rank = 1
)

select * from final
