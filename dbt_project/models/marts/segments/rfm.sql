-- grain: one customer (known, or with a purchase) on the run's day
{{ config(tags=['before_ml']) }}
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

purchases as (
    select
        customer,
        max(cast(ordered_at as date)) as last_ordered_on,
        count(*) as frequency,
        cast(sum(revenue) as decimal(18, 2)) as monetary
    from orders
    group by customer
),

measured as (
    select
        customers.customer,
        clock.as_of,
        {{ days_between('purchases.last_ordered_on', 'clock.as_of') }} as recency_days,
        coalesce(purchases.frequency, 0) as frequency,
        coalesce(purchases.monetary, 0) as monetary
    from customers
    cross join clock
    left join purchases on customers.customer = purchases.customer
),

borders as (
    select
        {{ exact_quantile('-recency_days', 0.2) }} as r20,
        {{ exact_quantile('-recency_days', 0.4) }} as r40,
        {{ exact_quantile('-recency_days', 0.6) }} as r60,
        {{ exact_quantile('-recency_days', 0.8) }} as r80,
        {{ exact_quantile('frequency', 0.2) }} as f20,
        {{ exact_quantile('frequency', 0.4) }} as f40,
        {{ exact_quantile('frequency', 0.6) }} as f60,
        {{ exact_quantile('frequency', 0.8) }} as f80,
        {{ exact_quantile('monetary', 0.2) }} as m20,
        {{ exact_quantile('monetary', 0.4) }} as m40,
        {{ exact_quantile('monetary', 0.6) }} as m60,
        {{ exact_quantile('monetary', 0.8) }} as m80
    from measured
    where frequency > 0
),

scored as (
    select
        measured.*,
        case
            when measured.frequency > 0
                then {{ quintile(
                    '-measured.recency_days', 'borders.r20', 'borders.r40', 'borders.r60',
                    'borders.r80'
                ) }}
        end as r_score,
        case
            when measured.frequency > 0
                then {{ quintile(
                    'measured.frequency', 'borders.f20', 'borders.f40', 'borders.f60',
                    'borders.f80'
                ) }}
        end as f_score,
        case
            when measured.frequency > 0
                then {{ quintile(
                    'measured.monetary', 'borders.m20', 'borders.m40', 'borders.m60',
                    'borders.m80'
                ) }}
        end as m_score
    from measured
    cross join borders
),

final as (
    select
        customer,
        as_of,
        cast(recency_days as integer) as recency_days,
        cast(frequency as bigint) as frequency,
        cast(monetary as decimal(18, 2)) as monetary,
        r_score,
        f_score,
        m_score,
        {{ rfm_segment('r_score', 'f_score') }} as segment
    from scored
)

select * from final
