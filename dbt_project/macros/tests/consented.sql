{#-
    Nobody stands in the table, or in a column with a purpose of its own, who may not be used for
    the purpose that the model's `meta` states.
-#}
{% test consented(model) %}
    {%- set consents = ref('dim_consents') %}
    {%- set asked = namespace(purpose='', columns={}) %}
    {%- if execute %}
        {%- for node in graph.nodes.values() %}
            {%- if node.resource_type == 'model' and node.name == model.identifier %}
                {%- set asked.purpose = node.config.meta.purpose %}
                {%- for column in node.columns.values() %}
                    {%- set own = (column.config.meta or column.meta).purpose %}
                    {%- if own %}
                        {%- do asked.columns.setdefault(own, []).append(column.name) %}
                    {%- endif %}
                {%- endfor %}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    select
        found.customer,
        '{{ asked.purpose }}' as purpose
    from {{ model }} as found
    left join {{ consents }} as consents
        on
            found.customer = consents.customer
            and consents.purpose = '{{ asked.purpose }}'
            and consents.may_use
    where consents.customer is null
    {%- for purpose, columns in asked.columns.items() %}
    union all
    select
        found.customer,
        '{{ purpose }}' as purpose
    from {{ model }} as found
    left join {{ consents }} as consents
        on
            found.customer = consents.customer
            and consents.purpose = '{{ purpose }}'
            and consents.may_use
    where
        consents.customer is null
        and ({% for column in columns %}found.{{ column }} is not null
            {{- ' or ' if not loop.last }}{% endfor %})
    {%- endfor %}
{% endtest %}
