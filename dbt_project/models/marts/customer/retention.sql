-- grain: one cohort (month of the first purchase) x months since, where it may be shown
{{ config(tags=['before_ml']) }}
{%- set k = env_var('HABITUS_K', '10') | int %}
with permitted as (
    {{ permitted('analytics') }}
),

orders as (
    select orders.*
    from {{ ref('fct_orders') }} as orders
    inner join permitted on orders.customer = permitted.customer
    where orders.is_purchase
),

clock as (
    select
        as_of,
        cast(date_trunc('month', as_of) as date) as as_of_month
    from {{ ref('run_clock') }}
),

months as (
    select distinct
        customer,
        cast(date_trunc('month', ordered_at) as date) as month
    from orders
),

cohorts as (
    select
        customer,
        min(month) as cohort
    from months
    group by customer
),

all_sizes as (
    select
        cohort,
        count(*) as customers
    from cohorts
    group by cohort
),

-- Who is in a small cohort is all purchasers less those of the cohorts that are shown: where those
-- in small cohorts are few together, the smallest of the others goes with them.
few as (
    select sum(customers) as customers
    from all_sizes
    where customers < {{ k }}
),

next_smallest as (
    select cohort
    from all_sizes
    where customers >= {{ k }}
    order by customers, cohort
    limit 1
),

sizes as (
    select
        all_sizes.cohort,
        all_sizes.customers
    from all_sizes
    cross join few
    left join next_smallest on all_sizes.cohort = next_smallest.cohort
    where all_sizes.customers >= {{ k }}
        and (next_smallest.cohort is null or coalesce(few.customers, {{ k }}) >= {{ k }})
),

returned as (
    select
        cohorts.cohort,
        {{ months_between('cohorts.cohort', 'months.month') }} as period,
        count(*) as retained
    from months
    inner join cohorts on months.customer = cohorts.customer
    group by cohorts.cohort, {{ months_between('cohorts.cohort', 'months.month') }}
),

periods as (
    select
        sizes.cohort,
        sizes.customers,
        numbers.n as period,
        -- A period that the data's clock has not passed would look like a fall.
        {{ add_months('sizes.cohort', 'numbers.n + 1') }} <= {{ add_days('clock.as_of', 1) }}
            as is_complete
    from sizes
    cross join clock
    inner join {{ numbers(3) }} as numbers
        on numbers.n <= {{ months_between('sizes.cohort', 'clock.as_of_month') }}
),

final as (
    select
        periods.cohort,
        cast(periods.period as integer) as period,
        cast(periods.customers as bigint) as customers,
        cast(coalesce(returned.retained, 0) as bigint) as retained,
        {{ stable('coalesce(returned.retained, 0) * 1.0 / periods.customers') }} as rate,
        periods.is_complete
    from periods
    left join returned
        on periods.cohort = returned.cohort and periods.period = returned.period
    -- Neither those who came back nor those who did not are few.
    where not coalesce(returned.retained, 0) between 1 and {{ k - 1 }}
        and not periods.customers - coalesce(returned.retained, 0) between 1 and {{ k - 1 }}
)

select * from final
