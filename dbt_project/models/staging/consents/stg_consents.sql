-- grain: one row per customer, purpose and beginning, as last known
with source as (
    {{ known_rows('consents') }}
),

{{ consent_statements('source') }},

final as (
    select
        customer_id,
        purpose,
        status,
        basis,
        valid_from,
        valid_to,
        channel,
        attributes,
        source,
        known_at,
        first_known_at
    from statements
)

select * from final
