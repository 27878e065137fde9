{#-
    The stage in which a purchase puts a customer. `gap_days` since the purchase before,
    `rhythm_days` as it was known at that purchase, `recent_gap` the mean of the last two gaps and
    `own_gaps` how many gaps there were before.
-#}
{% macro stage_at_purchase(purchase_number, gap_days, rhythm_days, recent_gap, own_gaps) -%}
    case
        when {{ purchase_number }} = 1 then 'new'
        when {{ gap_days }} > {{ stage_days('dormant', rhythm_days) }} then 'reactivated'
        when
            {{ own_gaps }} >= {{ var('lifecycle_min_gaps') }}
            and {{ recent_gap }} <= {{ var('lifecycle_growing_ratio') }} * {{ rhythm_days }}
            then 'growing'
        else 'active'
    end
{%- endmacro %}

{#- Days without a purchase after which the stage begins. -#}
{% macro stage_days(stage, rhythm_days) -%}
    cast(ceil({{ var('lifecycle_' ~ stage ~ '_multiple') }} * {{ rhythm_days }}) as integer)
{%- endmacro %}
