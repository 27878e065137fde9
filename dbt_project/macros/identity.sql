{#- The key of a node of the identity graph: its type and value in one string. -#}
{% macro node(id_type, id_value) -%}
    ({{ id_type }} || ':' || {{ id_value }})
{%- endmacro %}

{#- The key of a customer: from the node by which its component was first known. -#}
{% macro customer_key(node) -%}
    'c_' || md5({{ node }})
{%- endmacro %}

{#- Two tokens that count only together, e.g. a telephone number with the same name. -#}
{% macro composite_id(left, right) -%}
    ({{ left }} || '+' || {{ right }})
{%- endmacro %}

{#-
    Joins from a record's identifiers to their customers. `ids` is a list of [id_type, column] in
    order of trust; use `resolved_*` with the same list in the select.
-#}
{% macro identity_joins(relation, ids) -%}
    {%- for id_type, column in ids %}
    left join {{ ref('int_identity__map') }} as by_{{ column }}
        on by_{{ column }}.id_type = '{{ id_type }}'
        and by_{{ column }}.id_value = {{ relation }}.{{ column }}
    {%- endfor %}
{%- endmacro %}

{#- The customer by the most trusted identifier that has one. -#}
{% macro resolved_customer(ids) -%}
    coalesce(
        {%- for id_type, column in ids %}by_{{ column }}.customer{{ ', ' if not loop.last }}{% endfor -%}
    )
{%- endmacro %}

{#-
    When the customer of a record was known: the later of the record itself and the link by which
    the identifier belongs to the customer. Features use it: who somebody was found to be only
    later must not lend them a past that nobody could see.
-#}
{% macro resolved_at(known_at, ids) -%}
    greatest(
        {{ known_at }},
        case
            {%- for id_type, column in ids %}
            when by_{{ column }}.customer is not null then by_{{ column }}.known_at
            {%- endfor %}
            else {{ known_at }}
        end
    )
{%- endmacro %}

{#-
    Connected components by the smallest label: each round takes the smallest label among the
    neighbours and then the label of that label, so that paths halve. CTEs `label_0` ... for a
    relation of nodes (node) and one of links in both directions (node, neighbour).
-#}
{% macro component_rounds(nodes, links, rounds) -%}
label_0 as (
    select
        node,
        node as label
    from {{ nodes }}
),
{% for i in range(1, rounds + 1) %}
near_{{ i }} as (
    select
        node,
        min(label) as label
    from (
        select
            node,
            label
        from label_{{ i - 1 }}
        union all
        select
            links.node,
            labels.label
        from {{ links }} as links
        inner join label_{{ i - 1 }} as labels on links.neighbour = labels.node
    ) as candidates
    group by node
),

label_{{ i }} as (
    select
        near.node,
        least(near.label, jump.label) as label
    from near_{{ i }} as near
    inner join near_{{ i }} as jump on near.label = jump.node
),
{% endfor %}
{%- endmacro %}
