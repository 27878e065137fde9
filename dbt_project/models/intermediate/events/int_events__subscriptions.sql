-- grain: one activity of a subscription
{%- set ids = [('customer', 'customer_id')] %}
with versions as (
    select * from {{ ref('stg_subscriptions_versions') }}
),

known as (
    select
        subscription_id,
        min(case when ended_at is not null then known_at end) as ended_known_at
    from versions
    group by subscription_id
),

subscriptions as (
    select
        versions.*,
        known.ended_known_at,
        {{ resolved_customer(ids) }} as customer,
        {{ resolved_at('versions.first_known_at', ids) }} as attributed_at
    from versions
    inner join known on versions.subscription_id = known.subscription_id
    {{ identity_joins('versions', ids) }}
    where versions.is_latest
),

final as (
    {{ activities('subscriptions', 'subscription', 'subscription_id',
        ['subscription_id', 'plan', 'status', 'monthly_amount'],
        [
            ['started', "'subscription_started'", 'started_at', 'first_known_at', none, none],
            ['ended', "'subscription_ended'", 'ended_at', 'ended_known_at', none, none],
        ],
        'currency'
    ) }}
)

select * from final
