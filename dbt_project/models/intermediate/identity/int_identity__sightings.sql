-- grain: one combination of identifiers seen together, by source entity
{{ config(materialized='table') }}
{%- set none_ = "cast(null as " ~ dbt.type_string() ~ ")" %}
{%- set columns = [
    'customer_id', 'login', 'email', 'phone', 'name', 'device_id', 'anonymous_id'
] %}
{%- set entities = [
    ('stg_customers_versions', 'registered_at', ['customer_id', 'login', 'email', 'phone', 'name']),
    ('stg_orders_versions', 'ordered_at', ['customer_id', 'email', 'phone', 'name', 'device_id']),
    ('stg_order_items', 'ordered_at', ['customer_id']),
    ('stg_events', 'ts', ['customer_id', 'login', 'email', 'device_id', 'anonymous_id']),
    ('stg_tickets_versions', 'opened_at', ['customer_id', 'email', 'phone']),
    ('stg_feedback', 'submitted_at', ['customer_id', 'email']),
    ('stg_messages_versions', 'sent_at', ['customer_id', 'email']),
    ('stg_subscriptions_versions', 'started_at', ['customer_id']),
    ('stg_devices', 'first_seen_at', ['customer_id', 'device_id', 'anonymous_id']),
    ('stg_consents', 'valid_from', ['customer_id']),
    ('stg_profile_snapshots', 'taken_at', ['customer_id']),
] %}
with sightings as (
    {%- for model, moment, present in entities %}
    select
        {%- for column in columns %}
        {{ column if column in present else none_ ~ ' as ' ~ column }},
        {%- endfor %}
        '{{ model | replace("stg_", "") | replace("_versions", "") }}' as source,
        min({{ moment }}) as ts,
        min(known_at) as known_at
    from {{ ref(model) }}
    group by {{ present | join(', ') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        customer_id,
        login,
        email,
        phone,
        name,
        {{ composite_id('phone', 'name') }} as phone_name,
        -- Only a checkout names a person and a device in one record.
        {{ composite_id('device_id', 'name') }} as device_name,
        device_id,
        anonymous_id,
        source,
        ts,
        known_at
    from sightings
    where
        coalesce(customer_id, login, email, phone, device_id, anonymous_id) is not null
)

select * from final
