-- grain: one row per campaign id and version, as last known
with source as (
    {{ known_rows('campaigns') }}
),

ranked as (
    select
        campaign_id,
        name,
        lower(trim(channel)) as channel,
        objective,
        offer,
        started_at,
        ended_at,
        budget,
        currency,
        holdout_share,
        attributes,
        _source as source,
        _known_at as known_at,
        min(_known_at) over (
            partition by campaign_id
        ) as first_known_at,
        {{ version_rank(['campaign_id']) }} as version_rank
    from source
),

final as (
    select
        campaign_id,
        name,
        channel,
        objective,
        offer,
        started_at,
        ended_at,
        budget,
        currency,
        holdout_share,
        attributes,
        source,
        known_at,
        first_known_at
    from ranked
    where version_rank = 1
)

select * from final
