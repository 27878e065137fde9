-- grain: one version of a record (ticket id x version), as each became known
with source as (
    {{ known_rows('tickets') }}
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
        lower(trim(channel)) as channel,
        category,
        lower(trim(priority)) as priority,
        lower(trim(status)) as status,
        satisfaction,
        language,
        body,
        updated_at,
        attributes,
        _source as source,
        _known_at as known_at,
        lead(_known_at) over (
            partition by ticket_id
            order by {{ version_order() }}
        ) as next_known_at,
        min(_known_at) over (partition by ticket_id) as first_known_at,
        {{ version_rank(['ticket_id']) }} = 1 as is_latest
    from source
)

select * from final
