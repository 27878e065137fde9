-- grain: one version of a record (customer id x version), as each became known
with source as (
    {{ known_rows('customers') }}
),

final as (
    select
        customer_id,
        email,
        phone,
        login,
        name,
        birth_date,
        lower(trim(gender)) as gender,
        city,
        region,
        country,
        language,
        registered_at,
        acquisition_channel,
        loyalty_tier,
        updated_at,
        attributes,
        _source as source,
        _known_at as known_at,
        lead(_known_at) over (
            partition by customer_id
            order by {{ version_order() }}
        ) as next_known_at,
        min(_known_at) over (partition by customer_id) as first_known_at,
        {{ version_rank(['customer_id']) }} = 1 as is_latest
    from source
)

select * from final
