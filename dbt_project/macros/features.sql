{#- Whether a day of `known`, `windows.age_days` old, lies in the `days` days up to the cutoff. -#}
{% macro in_window(days) -%}
    windows.age_days < {{ days }}
{%- endmacro %}

{#- Sum of a measure over the `days` days up to the cutoff, that day included. -#}
{% macro window_sum(measure, days) -%}
    sum(case when {{ in_window(days) }} then known.{{ measure }} else 0 end)
{%- endmacro %}

{#- How many of the `days` days, at most 63, meet a condition: one bit each, not a set of days. -#}
{% macro window_days(condition, days) -%}
    bit_count(bit_or(
        case
            when {{ in_window(days) }} and {{ condition }} then {{ bit('windows.age_days') }}
            else 0
        end
    ))
{%- endmacro %}
