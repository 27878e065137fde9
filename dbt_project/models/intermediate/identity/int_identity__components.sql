-- grain: one identifier that may merge, with its component, its root and when it joined
{{ config(materialized='table') }}
{%- set rounds = var('identity_rounds') | int(1) %}
with labels as (
    select * from {{ ref('int_identity__labels') }}
),

links as (
    select * from {{ ref('int_identity__links') }}
),

-- The root is the identifier that was known first: the key of a customer then stays the same
-- when more identifiers join later.
ranked as (
    select
        *,
        row_number() over (
            partition by component
            order by
                known_at,
                case id_type when 'customer' then 1 when 'login' then 2 else 3 end,
                node
        ) as root_rank
    from labels
),

components as (
    select
        component,
        max(case when root_rank = 1 then node end) as root,
        max(case when id_type = 'customer' then 1 else 0 end) = 1 as is_known
    from ranked
    group by component
),

inner_links as (
    select
        links.node,
        links.neighbour,
        links.known_at
    from links
    inner join labels on links.node = labels.node and labels.leaf_of is null
    inner join labels as other on links.neighbour = other.node and other.leaf_of is null
),

-- When each identifier joined the root: over the best path, the latest link on it.
joined_0 as (
    select
        coalesce(leaf_of, node) as node,
        greatest(known_at, coalesce(leaf_linked_at, known_at)) as joined_at
    from ranked
    where root_rank = 1
),
{% for i in range(1, rounds + 1) %}
joined_{{ i }} as (
    select
        node,
        min(joined_at) as joined_at
    from (
        select
            node,
            joined_at
        from joined_{{ i - 1 }}
        union all
        select
            inner_links.node,
            greatest(inner_links.known_at, joined.joined_at) as joined_at
        from inner_links
        inner join joined_{{ i - 1 }} as joined on inner_links.neighbour = joined.node
    ) as candidates
    group by node
),
{% endfor %}
latest_links as (
    select
        labels.component,
        max(links.known_at) as known_at
    from links
    inner join labels on links.node = labels.node
    group by labels.component
),

final as (
    select
        ranked.node,
        ranked.id_type,
        ranked.id_value,
        ranked.component,
        components.root,
        components.is_known,
        case
            when ranked.root_rank = 1 then ranked.known_at
            else greatest(
                -- A path longer than the rounds counts as known with the component's last link.
                coalesce(joined.joined_at, latest_links.known_at, ranked.known_at),
                coalesce(ranked.leaf_linked_at, ranked.known_at)
            )
        end as known_at
    from ranked
    inner join components on ranked.component = components.component
    left join joined_{{ rounds }} as joined on coalesce(ranked.leaf_of, ranked.node) = joined.node
    left join latest_links on ranked.component = latest_links.component
)

select * from final
