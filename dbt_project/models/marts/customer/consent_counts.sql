-- grain: one purpose
{{ config(tags=['before_ml']) }}
with customers as (
    select customer
    from {{ ref('dim_customers') }}
    where is_known or orders > 0
),

consents as (
    select * from {{ ref('dim_consents') }}
),

clock as (
    select * from {{ ref('run_clock') }}
),

purposes as (
    select distinct purpose from consents
    {%- for purpose in purposes() %}
    union
    select '{{ purpose }}' as purpose
    {%- endfor %}
),

answers as (
    select
        consents.customer,
        consents.purpose,
        consents.basis,
        case
            when
                consents.may_use
                and consents.valid_from <= clock.as_of
                and (consents.valid_to is null or consents.valid_to > clock.as_of)
                then 1
            else 0
        end as permitted,
        case when consents.is_today and consents.answer = 'refused' then 1 else 0 end as refused
    from consents
    inner join customers on consents.customer = customers.customer
    cross join clock
),

counted as (
    select
        purpose,
        min(basis) as basis,
        sum(permitted) as permitted,
        sum(refused) as refused
    from answers
    group by purpose
),

population as (
    select count(*) as customers from customers
),

final as (
    select
        purposes.purpose,
        coalesce(counted.basis, 'none') as basis,
        cast(population.customers as bigint) as customers,
        cast(coalesce(counted.permitted, 0) as bigint) as permitted,
        cast(coalesce(counted.refused, 0) as bigint) as refused,
        cast(
            population.customers - coalesce(counted.permitted, 0) - coalesce(counted.refused, 0)
            as bigint
        ) as no_answer
    from purposes
    cross join population
    left join counted on purposes.purpose = counted.purpose
)

select * from final
