-- grain: one support ticket, as last known
{%- set ids = [('customer', 'customer_id'), ('email', 'email'), ('phone', 'phone')] %}
with tickets as (
    select * from {{ ref('stg_tickets') }}
),

clock as (
    select * from {{ ref('int_run_clock') }}
),

final as (
    select
        tickets.ticket_id,
        {{ resolved_customer(ids) }} as customer,
        tickets.order_id,
        tickets.opened_at,
        tickets.replied_at,
        tickets.resolved_at,
        cast(
            round({{ us_between('tickets.opened_at', 'tickets.replied_at') }} / 3600000000.0, 2)
            as decimal(18, 2)
        ) as hours_to_reply,
        cast(
            round({{ us_between('tickets.opened_at', 'tickets.resolved_at') }} / 3600000000.0, 2)
            as decimal(18, 2)
        ) as hours_to_resolve,
        tickets.channel,
        tickets.category,
        tickets.priority,
        tickets.status,
        cast(tickets.satisfaction as bigint) as satisfaction,
        coalesce(tickets.satisfaction <= {{ var('bad_ticket_satisfaction') }}, false) as is_bad,
        tickets.language,
        tickets.body,
        tickets.first_known_at as known_at,
        tickets.source
    from tickets
    cross join clock
    {{ identity_joins('tickets', ids) }}
    where cast(tickets.opened_at as date) <= clock.as_of
)

select * from final
