-- grain: one identifier that may merge, with the label of its component
{{ config(materialized='table') }}
{#
    Most components are stars: an account and identifiers of its own. An identifier with a single
    link is a leaf and takes the label of its neighbour at the end, so that the rounds run over the
    few identifiers that people share (100,000 customers: 49 s for all, 3 s so).
#}
{%- set rounds = var('identity_rounds') | int(1) %}
with nodes as (
    select * from {{ ref('int_identity__nodes') }}
    where blocked_by is null
),

links as (
    select * from {{ ref('int_identity__links') }}
),

degrees as (
    select
        node,
        count(*) as degree,
        min(neighbour) as neighbour,
        min(known_at) as linked_at
    from links
    group by node
),

-- Of two identifiers that have only each other, one is the leaf.
leaves as (
    select
        degrees.node,
        degrees.neighbour,
        degrees.linked_at
    from degrees
    inner join degrees as other on degrees.neighbour = other.node
    where degrees.degree = 1 and (other.degree > 1 or degrees.node > degrees.neighbour)
),

inner_links as (
    select
        links.node,
        links.neighbour
    from links
    left join leaves on links.node = leaves.node
    left join leaves as other on links.neighbour = other.node
    where leaves.node is null and other.node is null
),

inner_nodes as (
    select distinct node from inner_links
),

{{ component_rounds('inner_nodes', 'inner_links', rounds) }}

inner_labels as (
    select
        nodes.node,
        coalesce(labels.label, nodes.node) as component
    from nodes
    left join leaves on nodes.node = leaves.node
    left join label_{{ rounds }} as labels on nodes.node = labels.node
    where leaves.node is null
),

labelled as (
    select
        node,
        component,
        cast(null as {{ dbt.type_string() }}) as leaf_of,
        cast(null as timestamp) as leaf_linked_at
    from inner_labels
    union all
    select
        leaves.node,
        inner_labels.component,
        leaves.neighbour as leaf_of,
        leaves.linked_at as leaf_linked_at
    from leaves
    inner join inner_labels on leaves.neighbour = inner_labels.node
),

final as (
    select
        labelled.node,
        nodes.id_type,
        nodes.id_value,
        nodes.known_at,
        labelled.component,
        labelled.leaf_of,
        labelled.leaf_linked_at
    from labelled
    inner join nodes on labelled.node = nodes.node
)

select * from final
