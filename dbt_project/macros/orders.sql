{#-
    An order's status in our words. Sources that were not mapped by their contract use many; one
    that we do not know is a placed order, so it counts as completed (staging warns of it).
-#}
{% macro order_status(status) -%}
    case
        when {{ status }} in ('cancelled', 'canceled', 'void', 'voided') then 'cancelled'
        when {{ status }} in ('refunded', 'refund') then 'refunded'
        when {{ status }} in ('returned', 'return') then 'returned'
        when {{ status }} in ('pending', 'open', 'on_hold', 'unpaid', 'draft', 'failed')
            then 'pending'
        else 'completed'
    end
{%- endmacro %}
