-- grain: one customer (known, or with a purchase) on the run's day
{{ config(tags=['after_ml']) }}
with permitted as (
    {{ permitted('analytics') }}
),

customers as (
    select customers.*
    from {{ ref('dim_customers') }} as customers
    inner join permitted on customers.customer = permitted.customer
    where customers.is_known or customers.orders > 0
),

-- Being scored and being counted are two purposes: who refused the one keeps the rest of the row.
personalised as (
    {{ permitted('personalisation') }}
),

clock as (
    select * from {{ ref('run_clock') }}
),

rfm as (
    select * from {{ ref('rfm') }}
),

stages as (
    select * from {{ ref('lifecycle') }}
    where is_current
),

clusters as (
    select
        found.*,
        row_number() over (
            partition by found.customer
            order by found.as_of desc, found.cluster asc
        ) as score_rank
    from {{ source('ml', 'behaviour_clusters') }} as found
    inner join personalised on found.customer = personalised.customer
),

scores as (
    select
        found.*,
        row_number() over (
            partition by found.customer
            order by found.as_of desc, found.model asc
        ) as score_rank
    from {{ source('ml', 'churn_scores') }} as found
    inner join personalised on found.customer = personalised.customer
),

recent_days as (
    select
        days.customer,
        sum(days.sessions) as sessions_28d,
        sum(days.page_views) as page_views_28d,
        cast(sum(days.revenue) as decimal(18, 2)) as revenue_28d,
        sum(days.tickets) as tickets_28d
    from {{ ref('customer_days') }} as days
    cross join clock
    where days.day > {{ add_days('clock.as_of', -28) }}
    group by days.customer
),

final as (
    select
        customers.customer,
        clock.as_of,
        customers.is_known,
        customers.customer_ids,
        customers.emails,
        customers.devices,
        customers.registered_at,
        customers.birth_year,
        customers.gender,
        customers.city,
        customers.region,
        customers.country,
        customers.language,
        customers.acquisition_channel,
        customers.loyalty_tier,
        customers.first_seen_on,
        customers.last_seen_on,
        customers.first_ordered_at,
        customers.last_ordered_at,
        customers.orders,
        customers.revenue,
        rfm.recency_days,
        rfm.frequency,
        rfm.monetary,
        rfm.r_score,
        rfm.f_score,
        rfm.m_score,
        rfm.segment as rfm_segment,
        stages.stage as lifecycle_stage,
        stages.valid_from as lifecycle_since,
        stages.rhythm_days,
        cast(coalesce(recent_days.sessions_28d, 0) as bigint) as sessions_28d,
        cast(coalesce(recent_days.page_views_28d, 0) as bigint) as page_views_28d,
        cast(coalesce(recent_days.revenue_28d, 0) as decimal(18, 2)) as revenue_28d,
        cast(coalesce(recent_days.tickets_28d, 0) as bigint) as tickets_28d,
        cast(clusters.cluster as integer) as cluster,
        clusters.label as cluster_label,
        cast(scores.score as double) as churn_score,
        cast(scores.rank as bigint) as churn_rank,
        scores.model as churn_model,
        scores.model_version as churn_model_version,
        cast(scores.horizon_days as integer) as churn_horizon_days,
        cast(scores.as_of as date) as churn_scored_on,
        scores.reasons as churn_reasons,
        customers.marketing_consent,
        customers.analytics_consent,
        customers.personalisation_consent
    from customers
    cross join clock
    left join rfm on customers.customer = rfm.customer
    left join stages on customers.customer = stages.customer
    left join recent_days on customers.customer = recent_days.customer
    left join clusters
        on customers.customer = clusters.customer and clusters.score_rank = 1
    left join scores on customers.customer = scores.customer and scores.score_rank = 1
)

select * from final
