-- grain: one activity of a support ticket
{%- set ids = [('customer', 'customer_id'), ('email', 'email'), ('phone', 'phone')] %}
with versions as (
    select * from {{ ref('stg_tickets_versions') }}
),

known as (
    select
        ticket_id,
        min(case when replied_at is not null then known_at end) as replied_known_at,
        min(case when resolved_at is not null then known_at end) as resolved_known_at
    from versions
    group by ticket_id
),

tickets as (
    select
        versions.*,
        known.replied_known_at,
        known.resolved_known_at,
        {{ resolved_customer(ids) }} as customer,
        {{ resolved_at('versions.first_known_at', ids) }} as attributed_at
    from versions
    inner join known on versions.ticket_id = known.ticket_id
    {{ identity_joins('versions', ids) }}
    where versions.is_latest
),

final as (
    {{ activities('tickets', 'ticket', 'ticket_id',
        ['ticket_id', 'order_id', 'channel', 'category', 'priority', 'status', 'satisfaction',
         'language'],
        [
            ['opened', "'ticket_opened'", 'opened_at', 'first_known_at', none, none],
            ['replied', "'ticket_replied'", 'replied_at', 'replied_known_at', none, none],
            ['resolved', "'ticket_resolved'", 'resolved_at', 'resolved_known_at', none, none],
        ]
    ) }}
)

select * from final
