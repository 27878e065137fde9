-- grain: one pair of identifiers, by source entity and rule: the append-only identity graph
{{ config(materialized='table') }}
{#
    A record with a customer id ties each other identifier to it (a star). A guest's record ties
    its identifiers to each other, so that one blocked address does not lose the rest.
#}
{%- set pairs = [
    ('customer', 'customer_id', 'login', 'login', 'account'),
    ('customer', 'customer_id', 'email', 'email', 'account'),
    ('customer', 'customer_id', 'phone', 'phone', 'account'),
    ('customer', 'customer_id', 'phone_name', 'phone_name', 'account'),
    ('customer', 'customer_id', 'device_name', 'device_name', 'account'),
    ('customer', 'customer_id', 'name', 'name', 'account'),
    ('customer', 'customer_id', 'device', 'device_id', 'seen_on_device'),
    ('customer', 'customer_id', 'device', 'anonymous_id', 'seen_on_device'),
    ('login', 'login', 'email', 'email', 'guest'),
    ('login', 'login', 'device', 'device_id', 'seen_on_device'),
    ('login', 'login', 'device', 'anonymous_id', 'seen_on_device'),
    ('email', 'email', 'phone', 'phone', 'guest'),
    ('email', 'email', 'phone_name', 'phone_name', 'guest'),
    ('email', 'email', 'device_name', 'device_name', 'guest'),
    ('email', 'email', 'name', 'name', 'guest'),
    ('email', 'email', 'device', 'device_id', 'seen_on_device'),
    ('email', 'email', 'device', 'anonymous_id', 'seen_on_device'),
    ('phone_name', 'phone_name', 'phone', 'phone', 'guest'),
    ('phone_name', 'phone_name', 'device_name', 'device_name', 'guest'),
    ('phone_name', 'phone_name', 'device', 'device_id', 'seen_on_device'),
    ('device_name', 'device_name', 'device', 'device_id', 'seen_on_device'),
    ('device', 'device_id', 'device', 'anonymous_id', 'same_device'),
] %}
with sightings as (
    select * from {{ ref('int_identity__sightings') }}
),

pairs as (
    {%- for left_type, left_column, right_type, right_column, rule in pairs %}
    select
        '{{ left_type }}' as left_id_type,
        {{ left_column }} as left_id,
        '{{ right_type }}' as right_id_type,
        {{ right_column }} as right_id,
        '{{ rule }}' as rule,
        source,
        ts,
        known_at
    from sightings
    where
        {{ left_column }} is not null
        and {{ right_column }} is not null
        {%- if rule == 'same_device' %}
        and {{ left_column }} <> {{ right_column }}
        {%- elif left_type != 'customer' %}
        and customer_id is null
        {%- endif %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

recorded as (
    select
        left_id_type,
        left_id,
        right_id_type,
        right_id,
        rule,
        source,
        min(ts) as ts,
        min(known_at) as known_at
    from pairs
    group by left_id_type, left_id, right_id_type, right_id, rule, source
),

-- A guest's device and name against accounts with that name that were seen on that device.
guests_on_device as (
    select distinct
        device_id,
        name,
        device_name
    from sightings
    where customer_id is null and device_name is not null
),

accounts_on_device as (
    select
        seen.left_id as customer_id,
        guest.device_name,
        min(greatest(seen.ts, named.ts)) as ts,
        min(greatest(seen.known_at, named.known_at)) as known_at
    from guests_on_device as guest
    inner join recorded as seen
        on
            seen.left_id_type = 'customer'
            and seen.right_id_type = 'device'
            and guest.device_id = seen.right_id
    inner join recorded as named
        on
            named.left_id_type = 'customer'
            and named.right_id_type = 'name'
            and seen.left_id = named.left_id
            and guest.name = named.right_id
    group by seen.left_id, guest.device_name
),

final as (
    select
        left_id_type,
        left_id,
        right_id_type,
        right_id,
        rule,
        source,
        ts,
        known_at,
        cast(null as timestamp) as removed_at
    from recorded
    union all
    select
        'customer' as left_id_type,
        customer_id as left_id,
        'device_name' as right_id_type,
        device_name as right_id,
        'same_name_on_device' as rule,
        'derived' as source,
        ts,
        known_at,
        cast(null as timestamp) as removed_at
    from accounts_on_device
)

select * from final
