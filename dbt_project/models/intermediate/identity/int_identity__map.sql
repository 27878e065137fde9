-- grain: one identifier that has a customer
{{ config(materialized='table') }}
with components as (
    select * from {{ ref('int_identity__components') }}
),

edges as (
    select * from {{ ref('int_identity__edges') }}
    where removed_at is null
),

nodes as (
    select * from {{ ref('int_identity__nodes') }}
),

leaf_kinds as (
    select * from {{ ref('int_identity__limits') }}
    where may_merge = false
),

-- Identifiers that never merge two persons (devices, bare telephone numbers) belong to the one
-- person with whom they were seen, if there is only one.
leaf_links as (
    select
        edges.right_id_type as id_type,
        edges.right_id as id_value,
        components.root,
        min(greatest(edges.known_at, components.known_at)) as known_at,
        min(edges.rule) as rule,
        cast(max(cast(components.is_known as integer)) as boolean) as is_known
    from edges
    inner join leaf_kinds on edges.right_id_type = leaf_kinds.id_type
    inner join components
        on edges.left_id_type = components.id_type and edges.left_id = components.id_value
    group by edges.right_id_type, edges.right_id, components.root
    union all
    -- Who was erased goes on counting: what happened anonymously on a device that two people used
    -- must not become the other's.
    select
        id_type,
        id_value,
        'erased:' || mark as root,
        known_at,
        'erased' as rule,
        false as is_known
    from {{ ref('stg_identity_shared') }}
),

leaf_counts as (
    select
        id_type,
        id_value,
        count(*) as persons,
        min(root) as root,
        min(known_at) as known_at,
        min(rule) as rule,
        cast(max(cast(is_known as integer)) as boolean) as is_known
    from leaf_links
    group by id_type, id_value
),

owned as (
    select
        leaf_counts.id_type,
        leaf_counts.id_value,
        leaf_counts.root,
        leaf_counts.known_at,
        leaf_counts.rule,
        leaf_counts.is_known
    from leaf_counts
    inner join leaf_kinds on leaf_counts.id_type = leaf_kinds.id_type
    where
        leaf_counts.persons <= leaf_kinds.max_customers
        and leaf_counts.root not like 'erased:%'
),

-- A cookie that nobody logged in with belongs to the owner of the device it lives on.
device_pairs as (
    select
        left_id as device,
        right_id as other,
        known_at
    from edges
    where rule = 'same_device'
    union all
    select
        right_id as device,
        left_id as other,
        known_at
    from edges
    where rule = 'same_device'
),

neighbours as (
    select
        device_pairs.device as id_value,
        count(distinct owned.root) as persons,
        min(owned.root) as root,
        min(greatest(device_pairs.known_at, owned.known_at)) as known_at,
        cast(max(cast(owned.is_known as integer)) as boolean) as is_known
    from device_pairs
    inner join owned on owned.id_type = 'device' and device_pairs.other = owned.id_value
    left join leaf_counts
        on leaf_counts.id_type = 'device' and device_pairs.device = leaf_counts.id_value
    where leaf_counts.id_value is null
    group by device_pairs.device
),

-- A device without an owner, or with several, is an anonymous customer of its own.
anonymous as (
    select
        nodes.id_type,
        nodes.id_value,
        nodes.node as root,
        nodes.known_at,
        case
            when leaf_counts.persons > 1 then 'shared_device' else 'anonymous'
        end as rule,
        false as is_known
    from nodes
    left join owned on nodes.id_type = owned.id_type and nodes.id_value = owned.id_value
    left join leaf_counts
        on nodes.id_type = leaf_counts.id_type and nodes.id_value = leaf_counts.id_value
    left join neighbours on nodes.id_value = neighbours.id_value and neighbours.persons = 1
    where
        nodes.id_type = 'device'
        and owned.id_value is null
        and neighbours.id_value is null
),

mapped as (
    select
        id_type,
        id_value,
        root,
        is_known,
        case
            when node = root then 'root'
            when id_type = 'customer' then 'linked'
            else 'account'
        end as rule,
        known_at
    from components
    union all
    select
        id_type,
        id_value,
        root,
        is_known,
        rule,
        known_at
    from owned
    union all
    select
        'device' as id_type,
        id_value,
        root,
        is_known,
        'same_device' as rule,
        known_at
    from neighbours
    where persons = 1
    union all
    select
        id_type,
        id_value,
        root,
        is_known,
        rule,
        known_at
    from anonymous
),

final as (
    select
        id_type,
        id_value,
        {{ customer_key('root') }} as customer,
        is_known,
        rule,
        known_at
    from mapped
)

select * from final
