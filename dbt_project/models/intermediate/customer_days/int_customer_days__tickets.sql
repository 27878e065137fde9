-- grain: one change in what was known of a ticket: a version adds, the next takes back
{%- set ids = [('customer', 'customer_id'), ('email', 'email'), ('phone', 'phone')] %}
with versions as (
    select
        {{ resolved_customer(ids) }} as customer,
        cast(versions.opened_at as date) as day,
        {{ resolved_at('versions.known_at', ids) }} as known_at,
        case
            when versions.next_known_at is not null
                then {{ resolved_at('versions.next_known_at', ids) }}
        end as until_at,
        case when versions.satisfaction <= {{ var('bad_ticket_satisfaction') }} then 1 else 0 end
            as bad_tickets,
        coalesce(versions.satisfaction, 0) as satisfaction_sum,
        case when versions.satisfaction is null then 0 else 1 end as satisfaction_count
    from {{ ref('stg_tickets_versions') }} as versions
    {{ identity_joins('versions', ids) }}
),

final as (
    select
        customer,
        day,
        cast(known_at as date) as known_on,
        1 as tickets,
        bad_tickets,
        satisfaction_sum,
        satisfaction_count
    from versions
    where customer is not null
    union all
    select
        customer,
        day,
        cast(until_at as date) as known_on,
        -1 as tickets,
        -bad_tickets as bad_tickets,
        -satisfaction_sum as satisfaction_sum,
        -satisfaction_count as satisfaction_count
    from versions
    where customer is not null and until_at is not null
)

select * from final
