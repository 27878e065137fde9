-- grain: one row per date, metric and region, as last known
with source as (
    {{ known_rows('market') }}
),

ranked as (
    select
        date,
        metric,
        region,
        value,
        attributes,
        _source as source,
        _known_at as known_at,
        min(_known_at) over (
            partition by date, metric, region
        ) as first_known_at,
        {{ version_rank(['date', 'metric', 'region']) }} as version_rank
    from source
),

final as (
    select
        date,
        metric,
        region,
        value,
        attributes,
        source,
        known_at,
        first_known_at
    from ranked
    where version_rank = 1
)

select * from final
