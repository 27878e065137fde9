-- grain: one usable link between two identifiers that may merge, in both directions
with edges as (
    select * from {{ ref('int_identity__edges') }}
    where removed_at is null
),

nodes as (
    select * from {{ ref('int_identity__nodes') }}
    where blocked_by is null
),

links as (
    select
        left_node.node as left_node,
        right_node.node as right_node,
        min(edges.known_at) as known_at
    from edges
    inner join nodes as left_node
        on edges.left_id_type = left_node.id_type and edges.left_id = left_node.id_value
    inner join nodes as right_node
        on edges.right_id_type = right_node.id_type and edges.right_id = right_node.id_value
    group by left_node.node, right_node.node
),

final as (
    select
        left_node as node,
        right_node as neighbour,
        known_at
    from links
    union all
    select
        right_node as node,
        left_node as neighbour,
        known_at
    from links
)

select * from final
