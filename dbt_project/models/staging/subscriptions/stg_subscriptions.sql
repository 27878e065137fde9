-- grain: one subscription id, as last known
with versions as (
    select * from {{ ref('stg_subscriptions_versions') }}
),

final as (
    select
        subscription_id,
        customer_id,
        plan,
        status,
        started_at,
        ended_at,
        monthly_amount,
        currency,
        updated_at,
        attributes,
        source,
        known_at,
        first_known_at
    from versions
    where is_latest
)

select * from final
