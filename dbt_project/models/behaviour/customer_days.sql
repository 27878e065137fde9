-- grain: one customer x day, as known on the run's day
{%- set measures = day_measures() %}
with known as (
    select * from {{ ref('customer_days_known') }}
),

summed as (
    select
        customer,
        day,
        {%- for measure, type in measures.items() %}
        cast(sum({{ measure }}) as {{ type }}) as {{ measure }},
        {%- endfor %}
        min(known_on) as first_known_on,
        max(known_on) as last_known_on
    from known
    group by customer, day
),

final as (
    select * from summed
    where
        {%- for measure in measures %}
        {{ 'or ' if not loop.first }}{{ measure }} <> 0
        {%- endfor %}
)

select * from final
