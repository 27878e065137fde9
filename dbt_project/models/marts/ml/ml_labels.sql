-- grain: one customer x as_of whose horizon has passed
{{ config(tags=['before_ml']) }}
with spine as (
    select
        customer,
        as_of
    from {{ ref('ml_features') }}
),

cutoffs as (
    select distinct
        as_of,
        horizon_days,
        label_ends_on
    from {{ ref('ml_cutoffs') }}
),

clock as (
    select * from {{ ref('run_clock') }}
),

orders as (
    select
        customer,
        cast(ordered_at as date) as day,
        revenue
    from {{ ref('fct_orders') }}
    where is_purchase and customer is not null
),

eligible as (
    select
        spine.customer,
        spine.as_of,
        cutoffs.horizon_days,
        cutoffs.label_ends_on
    from spine
    inner join cutoffs on spine.as_of = cutoffs.as_of
    cross join clock
    where cutoffs.label_ends_on <= clock.as_of
),

bought as (
    select
        orders.customer,
        cutoffs.as_of,
        count(*) as orders,
        cast(sum(orders.revenue) as decimal(18, 2)) as revenue
    from orders
    inner join cutoffs on orders.day > cutoffs.as_of and orders.day <= cutoffs.label_ends_on
    group by orders.customer, cutoffs.as_of
),

final as (
    select
        eligible.customer,
        eligible.as_of,
        eligible.horizon_days,
        bought.customer is null as churned,
        cast(coalesce(bought.orders, 0) as bigint) as orders_in_horizon,
        cast(coalesce(bought.revenue, 0) as decimal(18, 2)) as revenue_in_horizon
    from eligible
    left join bought
        on eligible.customer = bought.customer and eligible.as_of = bought.as_of
)

select * from final
