{#- Whether a day of `known` lies in the `days` days up to `cutoffs.as_of`, that day included. -#}
{% macro in_window(days) -%}
    known.day > {{ add_days('cutoffs.as_of', -days) }}
{%- endmacro %}

{#- Sum of a measure over the `days` days up to `cutoffs.as_of`. -#}
{% macro window_sum(measure, days) -%}
    sum(case when {{ in_window(days) }} then known.{{ measure }} else 0 end)
{%- endmacro %}
