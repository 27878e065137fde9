-- grain: one purpose, where it may be shown
{{ config(tags=['before_ml']) }}
{%- set k = env_var('HABITUS_K', '10') | int %}
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
        min(consents.basis) as basis,
        max(case
            when
                consents.may_use
                and consents.valid_from <= clock.as_of
                and (consents.valid_to is null or consents.valid_to > clock.as_of)
                then 1
            else 0
        end) as permitted,
        max(
            case when consents.is_today and consents.answer = 'refused' then 1 else 0 end
        ) as refused
    from consents
    inner join customers on consents.customer = customers.customer
    cross join clock
    group by consents.customer, consents.purpose
),

-- What each customer has said of each purpose.
states as (
    select
        customers.customer,
        purposes.purpose,
        case
            when answers.permitted = 1 then 'permitted'
            when answers.refused = 1 then 'refused'
            else 'no_answer'
        end as state
    from customers
    cross join purposes
    left join answers
        on customers.customer = answers.customer and purposes.purpose = answers.purpose
),

sizes as (
    select
        purpose,
        state,
        count(*) as size
    from states
    group by purpose, state
),

-- Those of which all say the same come first: they part nobody. One partition: a handful of rows.
ranks as (
    select
        purpose,
        row_number() over (
            partition by 1
            order by
                count(*),
                {%- for purpose in purposes() %}
                purpose = '{{ purpose }}' desc,
                {%- endfor %}
                purpose
        ) as place
    from sizes
    group by purpose
    having min(size) >= {{ k }}
),

-- Numbers of two purposes can tell of few people whom neither tells of: those who refused the one
-- and not the other. So with each purpose, who has said the same of it and of all before it: their
-- answers as the digits of one number.
profiles as (
    select
        ranks.place,
        sum(
            cast(
                case states.state when 'permitted' then 1 when 'refused' then 2 else 3 end
                * power(4, ranks.place)
                as decimal(38, 0)
            )
        ) over (
            partition by states.customer
            order by ranks.place
            rows between unbounded preceding and current row
        ) as said
    from states
    inner join ranks on states.purpose = ranks.purpose
),

alike as (
    select
        place,
        count(*) as size
    from profiles
    group by place, said
),

safe as (
    select ranks.purpose
    from ranks
    inner join alike on ranks.place = alike.place
    group by ranks.purpose
    having min(alike.size) >= {{ k }}
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
    left join safe on purposes.purpose = safe.purpose
    where safe.purpose is not null or population.customers = 0
)

select * from final
