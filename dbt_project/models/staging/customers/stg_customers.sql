-- grain: one customer id, as last known
with versions as (
    select * from {{ ref('stg_customers_versions') }}
),

final as (
    select
        customer_id,
        email,
        phone,
        login,
        name,
        birth_date,
        gender,
        city,
        region,
        country,
        language,
        registered_at,
        acquisition_channel,
        loyalty_tier,
        updated_at,
        attributes,
        source,
        known_at,
        first_known_at
    from versions
    where is_latest
)

select * from final
