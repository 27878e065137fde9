{#-
    The measures of a customer's day, in order: name to SQL type. `customer_days_known`,
    `customer_days` and the parts that they are summed from all read this one list.
-#}
{% macro day_measures() -%}
    {{ return({
        'events': 'bigint', 'page_views': 'bigint', 'product_views': 'bigint',
        'products_viewed': 'bigint', 'searches': 'bigint', 'cart_adds': 'bigint',
        'cart_removes': 'bigint', 'checkouts': 'bigint', 'sessions': 'bigint',
        'orders': 'bigint', 'units': 'decimal(18, 4)', 'revenue': 'decimal(18, 2)',
        'discount': 'decimal(18, 2)', 'coupons': 'bigint', 'price_paid': 'decimal(18, 2)',
        'price_base': 'decimal(18, 2)', 'refunds': 'bigint', 'refunded_amount': 'decimal(18, 2)',
        'deliveries': 'bigint', 'late_deliveries': 'bigint', 'delay_days': 'decimal(18, 2)',
        'tickets': 'bigint', 'bad_tickets': 'bigint', 'satisfaction_sum': 'bigint',
        'satisfaction_count': 'bigint', 'feedback': 'bigint',
        'feedback_share_sum': 'decimal(18, 4)', 'feedback_share_count': 'bigint',
        'nps_sum': 'decimal(18, 4)', 'nps_count': 'bigint', 'messages_delivered': 'bigint',
        'messages_opened': 'bigint', 'messages_clicked': 'bigint', 'unsubscribes': 'bigint',
    }) }}
{%- endmacro %}

{#- One part of the union of measures: its own values, zero for the others of `names`. -#}
{% macro measures_part(names, values) -%}
    {%- for measure in names %}
        cast({{ values.get(measure, '0') }} as {{ day_measures()[measure] }}) as {{ measure }}
        {{- ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
