-- grain: one version of a record (subscription id x version), as each became known
with source as (
    {{ known_rows('subscriptions') }}
),

final as (
    select
        subscription_id,
        customer_id,
        plan,
        lower(trim(status)) as status,
        started_at,
        ended_at,
        monthly_amount,
        currency,
        updated_at,
        attributes,
        _source as source,
        _known_at as known_at,
        lead(_known_at) over (
            partition by subscription_id
            order by {{ version_order() }}
        ) as next_known_at,
        min(_known_at) over (partition by subscription_id) as first_known_at,
        {{ version_rank(['subscription_id']) }} = 1 as is_latest
    from source
)

select * from final
