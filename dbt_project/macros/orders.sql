{#- Our words for an order's status, and those by which sources call them. -#}
{% macro order_states() -%}
    {{ return({
        'completed': ['completed', 'complete', 'paid', 'placed', 'shipped', 'delivered', 'fulfilled'],
        'cancelled': ['cancelled', 'canceled', 'void', 'voided'],
        'refunded': ['refunded', 'refund'],
        'returned': ['returned', 'return'],
        'pending': ['pending', 'open', 'on_hold', 'unpaid', 'draft', 'failed'],
    }) }}
{%- endmacro %}

{#-
    An order's status in our words. Sources that were not mapped by their contract use many; one
    that we do not know is a placed order, so it counts as completed (a test of staging warns).
-#}
{% macro order_status(status) -%}
    case
        {%- for state, words in order_states().items() if state != 'completed' %}
        when {{ status }} in ('{{ words | join("', '") }}') then '{{ state }}'
        {%- endfor %}
        else 'completed'
    end
{%- endmacro %}

{#- Statuses that we do not know, with their orders. -#}
{% test known_order_status(model, column_name) %}
    select
        {{ column_name }},
        count(*) as orders
    from {{ model }}
    where
        {{ column_name }} is not null
        {%- for words in order_states().values() %}
        and {{ column_name }} not in ('{{ words | join("', '") }}')
        {%- endfor %}
    group by {{ column_name }}
{% endtest %}
