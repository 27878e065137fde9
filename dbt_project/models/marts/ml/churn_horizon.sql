-- grain: one row: the horizon over which churn is asked
{{ config(tags=['before_ml']) }}
with permitted as (
    {{ permitted('personalisation') }}
),

orders as (
    select orders.*
    from {{ ref('fct_orders') }} as orders
    inner join permitted on orders.customer = permitted.customer
    where orders.is_purchase
),

clock as (
    select * from {{ ref('run_clock') }}
),

purchase_days as (
    select distinct
        customer,
        cast(ordered_at as date) as day
    from orders
),

gaps as (
    select
        {{ days_between('lag(day) over (partition by customer order by day)', 'day') }} as gap_days,
        day
    from purchase_days
),

measured as (
    select
        count(gap_days) as gaps,
        {{ exact_quantile('gap_days', var('churn_horizon_quantile')) }} as quantile_days,
        min(day) as first_ordered_on
    from gaps
),

final as (
    select
        cast(coalesce(
            clock.churn_horizon_days,
            least(greatest(
                coalesce(
                    ceil(measured.quantile_days), {{ var('churn_horizon_default_days') }}
                ),
                {{ var('churn_horizon_min_days') }}
            ), {{ var('churn_horizon_max_days') }})
        ) as integer) as horizon_days,
        cast(measured.gaps as bigint) as gaps,
        {{ stable('measured.quantile_days') }} as quantile_days,
        clock.churn_horizon_days is not null as is_given,
        measured.first_ordered_on,
        clock.as_of
    from measured
    cross join clock
)

select * from final
