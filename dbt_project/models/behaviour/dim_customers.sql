-- grain: one customer: a component of the identity graph
with ids as (
    select * from {{ ref('customer_id_map') }}
),

records as (
    select * from {{ ref('stg_customers') }}
),

days as (
    select * from {{ ref('customer_days') }}
),

orders as (
    select * from {{ ref('fct_orders') }}
),

consents as (
    select * from {{ ref('dim_consents') }}
    where is_today and answer <> 'not_asked'
),

components as (
    select
        customer,
        max(case when is_known then 1 else 0 end) = 1 as is_known,
        sum(case when id_type = 'customer' then 1 else 0 end) as customer_ids,
        sum(case when id_type = 'email' then 1 else 0 end) as emails,
        sum(case when id_type = 'device' then 1 else 0 end) as devices,
        min(known_at) as known_at
    from ids
    group by customer
),

-- Two accounts of one person: the record that was changed last speaks.
ranked as (
    select
        ids.customer,
        records.*,
        row_number() over (
            partition by ids.customer
            order by records.known_at desc, records.customer_id asc
        ) as record_rank,
        min(records.registered_at) over (partition by ids.customer) as first_registered_at
    from records
    inner join ids on ids.id_type = 'customer' and records.customer_id = ids.id_value
),

activity as (
    select
        customer,
        min(day) as first_active_on,
        max(day) as last_active_on
    from days
    group by customer
),

purchases as (
    select
        customer,
        min(ordered_at) as first_ordered_at,
        max(ordered_at) as last_ordered_at,
        count(*) as orders,
        cast(sum(revenue) as decimal(18, 2)) as revenue
    from orders
    where is_purchase and customer is not null
    group by customer
),

consent as (
    select
        customer,
        {%- for purpose in purposes() %}
        max(case when purpose = '{{ purpose }}' then cast(may_use as integer) end) = 1
            as {{ purpose }}_consent{{ ',' if not loop.last }}
        {%- endfor %}
    from consents
    group by customer
),

final as (
    select
        components.customer,
        components.is_known,
        cast(components.customer_ids as bigint) as customer_ids,
        cast(components.emails as bigint) as emails,
        cast(components.devices as bigint) as devices,
        ranked.first_registered_at as registered_at,
        cast(extract(year from ranked.birth_date) as integer) as birth_year,
        ranked.gender,
        ranked.city,
        ranked.region,
        ranked.country,
        ranked.language,
        ranked.acquisition_channel,
        ranked.loyalty_tier,
        least(
            coalesce(cast(ranked.first_registered_at as date), activity.first_active_on),
            coalesce(activity.first_active_on, cast(ranked.first_registered_at as date))
        ) as first_seen_on,
        activity.last_active_on as last_seen_on,
        purchases.first_ordered_at,
        purchases.last_ordered_at,
        cast(coalesce(purchases.orders, 0) as bigint) as orders,
        cast(coalesce(purchases.revenue, 0) as decimal(18, 2)) as revenue,
        consent.marketing_consent,
        consent.analytics_consent,
        consent.personalisation_consent,
        components.known_at
    from components
    left join ranked on components.customer = ranked.customer and ranked.record_rank = 1
    left join activity on components.customer = activity.customer
    left join purchases on components.customer = purchases.customer
    left join consent on components.customer = consent.customer
)

select * from final
