-- grain: one ticket id, as last known
with versions as (
    select * from {{ ref('stg_tickets_versions') }}
),

final as (
    select
        ticket_id,
        customer_id,
        email,
        phone,
        order_id,
        opened_at,
        replied_at,
        resolved_at,
        channel,
        category,
        priority,
        status,
        satisfaction,
        language,
        body,
        updated_at,
        attributes,
        source,
        known_at,
        first_known_at
    from versions
    where is_latest
)

select * from final
