-- grain: one kind of identifier: what it takes to trust it (from `identity_limits` in the project)
{%- set limits = var('identity_limits') %}
with final as (
    {%- for limit in limits %}
    select
        '{{ limit.id_type }}' as id_type,
        cast({{ limit.max_customers }} as bigint) as max_customers,
        cast({{ limit.max_names or 'null' }} as bigint) as max_names,
        {{ limit.may_merge | default(true) | lower }} as may_merge
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from final
