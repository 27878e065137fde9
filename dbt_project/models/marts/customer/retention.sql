-- grain: one cohort (month of the first purchase) x months since
{{ config(tags=['before_ml']) }}
with orders as (
    select * from {{ ref('fct_orders') }}
    where is_purchase and customer is not null
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

sizes as (
    select
        cohort,
        count(*) as customers
    from cohorts
    group by cohort
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
)

select * from final
