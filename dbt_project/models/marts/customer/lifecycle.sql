-- grain: one customer x stage interval: exactly one stage per customer and day
{{ config(tags=['before_ml']) }}
{#
    Computed from change points, not day by day: purchases, and the days on which the silence
    after one passes a multiple of the customer's rhythm.
#}
with permitted as (
    {{ permitted('analytics') }}
),

customers as (
    select customers.*
    from {{ ref('dim_customers') }} as customers
    inner join permitted on customers.customer = permitted.customer
    where customers.is_known or customers.orders > 0
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

sequenced as (
    select
        customer,
        day,
        row_number() over (partition by customer order by day) as purchase_number,
        lag(day) over (partition by customer order by day) as previous_day,
        lag(day, 2) over (partition by customer order by day) as second_previous_day,
        min(day) over (partition by customer) as first_day,
        lead(day) over (partition by customer order by day) as next_day
    from purchase_days
),

gaps as (
    select
        *,
        {{ days_between('previous_day', 'day') }} as gap_days
    from sequenced
),

population as (
    select
        coalesce(
            {{ exact_quantile('gap_days', 0.5) }}, {{ var('lifecycle_default_rhythm_days') }}
        ) as rhythm_days
    from gaps
    where gap_days is not null
),

-- The rhythm before a purchase decides what the purchase means; the one after it, what silence
-- means. Each uses only the gaps up to then.
rhythms as (
    select
        gaps.*,
        least(greatest(
            case
                when gaps.purchase_number - 2 >= {{ var('lifecycle_min_gaps') }}
                    then
                        {{ days_between('gaps.first_day', 'gaps.previous_day') }} * 1.0
                        / (gaps.purchase_number - 2)
                else population.rhythm_days
            end,
            {{ var('lifecycle_min_rhythm_days') }}
        ), {{ var('lifecycle_max_rhythm_days') }}) as rhythm_before,
        least(greatest(
            case
                when gaps.purchase_number - 1 >= {{ var('lifecycle_min_gaps') }}
                    then
                        {{ days_between('gaps.first_day', 'gaps.day') }} * 1.0
                        / (gaps.purchase_number - 1)
                else population.rhythm_days
            end,
            {{ var('lifecycle_min_rhythm_days') }}
        ), {{ var('lifecycle_max_rhythm_days') }}) as rhythm_after,
        {{ days_between('gaps.second_previous_day', 'gaps.day') }} / 2.0 as recent_gap
    from gaps
    cross join population
),

changes as (
    select
        customers.customer,
        'prospect' as stage,
        customers.first_seen_on as begins_on,
        cast(null as date) as ends_on,
        cast(null as double) as rhythm_days
    from customers
    left join rhythms on customers.customer = rhythms.customer and rhythms.purchase_number = 1
    where
        customers.first_seen_on is not null
        and (rhythms.day is null or customers.first_seen_on < rhythms.day)
    union all
    select
        customer,
        {{ stage_at_purchase(
            'purchase_number', 'gap_days', 'rhythm_before', 'recent_gap', '(purchase_number - 2)'
        ) }} as stage,
        day as begins_on,
        next_day as ends_on,
        cast(rhythm_after as double) as rhythm_days
    from rhythms
    {%- for stage in ['at_risk', 'dormant', 'churned'] %}
    union all
    select
        customer,
        '{{ stage }}' as stage,
        {{ add_days('day', stage_days(stage, 'rhythm_after')) }} as begins_on,
        next_day as ends_on,
        cast(rhythm_after as double) as rhythm_days
    from rhythms
    {%- endfor %}
),

-- A threshold that the next purchase came before was never reached.
reached as (
    select changes.*
    from changes
    cross join clock
    where
        changes.begins_on <= clock.as_of
        and (changes.ends_on is null or changes.begins_on < changes.ends_on)
),

marked as (
    select
        *,
        case
            when
                lag(stage) over (partition by customer order by begins_on) = stage
                then 0
            else 1
        end as is_change
    from reached
),

numbered as (
    select
        *,
        sum(is_change) over (
            partition by customer
            order by begins_on
            rows between unbounded preceding and current row
        ) as interval_number
    from marked
),

intervals as (
    select
        customer,
        interval_number,
        min(stage) as stage,
        min(begins_on) as valid_from,
        max_by(rhythm_days, begins_on) as rhythm_days
    from numbered
    group by customer, interval_number
),

final as (
    select
        customer,
        stage,
        valid_from,
        lead(valid_from) over (partition by customer order by valid_from) as valid_to,
        lead(valid_from) over (partition by customer order by valid_from) is null as is_current,
        {{ stable('rhythm_days') }} as rhythm_days
    from intervals
)

select * from final
