-- grain: one row per customer, purpose and beginning, as known today whatever day the run asks for
{#
    A rebuild of the past is made today, and needs today's consent: a refusal that became known
    after the day asked for must not be forgotten. So, alone of all staging models, this one does
    not begin with the rows known on the run's day.
#}
with source as (
    select * from {{ source('raw', 'consents') }}
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
        status_known_at
    from statements
)

select * from final
