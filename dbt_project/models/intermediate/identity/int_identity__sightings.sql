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
{#
    Of ten million events half a million combinations are left. An increment takes those that stand,
    and looks again only for those that an event was taken from.
#}
{%- set since = increment_since() %}
{%- set stg_events = ref('stg_events') %}
{%- set event_ids = entities | selectattr(0, 'equalto', 'stg_events') | map(attribute=2) | first %}
{%- if since is not none %}
{%- call small('reopened') %}
    select distinct
        {{ event_ids | join(',\n        ') }}
    from {{ rows_since('deletions', stg_events, since) }}
{%- endcall %}
{%- set is_reopened = [] %}
{%- for column in event_ids %}
{%- do is_reopened.append('seen.' ~ column ~ ' is not distinct from reopened.' ~ column) %}
{%- endfor %}
{%- set is_reopened = is_reopened | join('\n        and ') %}
{%- call small('event_sightings') %}
    select
        {{ event_ids | join(',\n        ') }},
        ts,
        known_at
    from {{ standing('intermediate', 'int_identity__sightings', since) }} as seen
    anti join reopened on {{ is_reopened }}
    where source = 'events'
    union all
    select
        {{ event_ids | join(',\n        ') }},
        ts,
        known_at
    from {{ rows_since('insertions', stg_events, since) }}
    {%- if has_rows('reopened') %}
    union all
    select
        {{ event_ids | join(',\n        ') }},
        ts,
        known_at
    from {{ stg_events }} as seen
    semi join reopened on {{ is_reopened }}
    {%- endif %}
{%- endcall %}
{%- endif %}
with sightings as (
    {%- for model, moment, present in entities %}
    select
        {%- for column in columns %}
        {{ column if column in present else none_ ~ ' as ' ~ column }},
        {%- endfor %}
        '{{ model | replace("stg_", "") | replace("_versions", "") }}' as source,
        min({{ moment }}) as ts,
        min(known_at) as known_at
    from {{ 'event_sightings' if model == 'stg_events' and since is not none else ref(model) }}
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
