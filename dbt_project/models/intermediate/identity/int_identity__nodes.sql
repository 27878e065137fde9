-- grain: one identifier (type and value)
{{ config(materialized='table') }}
{%- set ids = [
    ('customer', 'customer_id'), ('login', 'login'), ('email', 'email'), ('phone', 'phone'),
    ('phone_name', 'phone_name'), ('device_name', 'device_name'), ('device', 'device_id'),
    ('device', 'anonymous_id'),
] %}
with sightings as (
    select * from {{ ref('int_identity__sightings') }}
),

edges as (
    select * from {{ ref('int_identity__edges') }}
    where removed_at is null
),

limits as (
    select * from {{ ref('int_identity__limits') }}
),

seen as (
    {%- for id_type, column in ids %}
    select
        '{{ id_type }}' as id_type,
        {{ column }} as id_value,
        known_at
    from sightings
    where {{ column }} is not null
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

nodes as (
    select
        id_type,
        id_value,
        min(known_at) as known_at
    from seen
    group by id_type, id_value
),

-- Who was erased goes on counting: else an identifier that people share would name one of them.
erased as (
    select
        id_type,
        id_value,
        sum(customers) as customers,
        min(known_at) as known_at
    from {{ ref('stg_identity_shared') }}
    group by id_type, id_value
),

customers as (
    select
        id_type,
        id_value,
        sum(customers) as customers
    from (
        select
            right_id_type as id_type,
            right_id as id_value,
            count(distinct left_id) as customers
        from edges
        where left_id_type = 'customer'
        group by right_id_type, right_id
        union all
        select
            id_type,
            id_value,
            customers
        from erased
    ) as counted
    group by id_type, id_value
),

-- Names that guests gave with an address: an account may order for others, a guest may not.
names as (
    select
        id_type,
        id_value,
        count(distinct name) as names
    from (
        select
            'email' as id_type,
            email as id_value,
            name
        from sightings
        where customer_id is null and email is not null and name is not null
    ) as named
    group by id_type, id_value
),

-- A device with too many customers is a kiosk: a name on it says nothing.
kiosk_names as (
    select distinct
        edges.left_id_type as id_type,
        edges.left_id as id_value
    from edges
    inner join customers
        on customers.id_type = 'device' and edges.right_id = customers.id_value
    where
        edges.left_id_type = 'device_name'
        and edges.right_id_type = 'device'
        and customers.customers > {{ var('identity_kiosk_customers') }}
),

final as (
    select
        {{ node('nodes.id_type', 'nodes.id_value') }} as node,
        nodes.id_type,
        nodes.id_value,
        least(nodes.known_at, coalesce(erased.known_at, nodes.known_at)) as known_at,
        cast(coalesce(customers.customers, 0) as bigint) as customers,
        cast(coalesce(names.names, 0) as bigint) as names,
        case
            when not limits.may_merge then 'never_merges'
            when customers.customers > limits.max_customers then 'too_many_customers'
            when names.names > limits.max_names then 'too_many_names'
            when kiosk_names.id_value is not null then 'kiosk'
        end as blocked_by
    from nodes
    inner join limits on nodes.id_type = limits.id_type
    left join customers
        on nodes.id_type = customers.id_type and nodes.id_value = customers.id_value
    left join erased
        on nodes.id_type = erased.id_type and nodes.id_value = erased.id_value
    left join names
        on nodes.id_type = names.id_type and nodes.id_value = names.id_value
    left join kiosk_names
        on nodes.id_type = kiosk_names.id_type and nodes.id_value = kiosk_names.id_value
)

select * from final
