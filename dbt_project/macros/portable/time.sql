{#- Time arithmetic that means the same on every engine: microseconds as integers, whole days. -#}

{% macro us_between(start, stop) -%}
    {{ adapter.dispatch('us_between', 'habitus')(start, stop) }}
{%- endmacro %}

{% macro duckdb__us_between(start, stop) -%}
    (epoch_us({{ stop }}) - epoch_us({{ start }}))
{%- endmacro %}

{% macro default__us_between(start, stop) -%}
    (unix_micros(cast({{ stop }} as timestamp)) - unix_micros(cast({{ start }} as timestamp)))
{%- endmacro %}

{#- `us` microseconds after `moment`. -#}
{% macro add_us(moment, us) -%}
    {{ adapter.dispatch('add_us', 'habitus')(moment, us) }}
{%- endmacro %}

{% macro duckdb__add_us(moment, us) -%}
    ({{ moment }} + to_microseconds({{ us }}))
{%- endmacro %}

{% macro default__add_us(moment, us) -%}
    timestampadd(microsecond, {{ us }}, {{ moment }})
{%- endmacro %}

{#- Whole days from one date to another. -#}
{% macro days_between(start, stop) -%}
    {{ adapter.dispatch('days_between', 'habitus')(start, stop) }}
{%- endmacro %}

{% macro duckdb__days_between(start, stop) -%}
    date_diff('day', {{ start }}, {{ stop }})
{%- endmacro %}

{% macro default__days_between(start, stop) -%}
    datediff({{ stop }}, {{ start }})
{%- endmacro %}

{#- The date `days` days after a date. -#}
{% macro add_days(day, days) -%}
    {{ adapter.dispatch('add_days', 'habitus')(day, days) }}
{%- endmacro %}

{% macro duckdb__add_days(day, days) -%}
    ({{ day }} + cast({{ days }} as integer))
{%- endmacro %}

{% macro default__add_days(day, days) -%}
    date_add({{ day }}, cast({{ days }} as int))
{%- endmacro %}

{#- The date `months` months after a date. -#}
{% macro add_months(day, months) -%}
    {{ adapter.dispatch('add_months', 'habitus')(day, months) }}
{%- endmacro %}

{% macro duckdb__add_months(day, months) -%}
    cast({{ day }} + to_months(cast({{ months }} as integer)) as date)
{%- endmacro %}

{% macro default__add_months(day, months) -%}
    add_months({{ day }}, cast({{ months }} as int))
{%- endmacro %}

{#- Calendar months from one first-of-month to another. -#}
{% macro months_between(start, stop) -%}
    (
        (extract(year from {{ stop }}) - extract(year from {{ start }})) * 12
        + extract(month from {{ stop }}) - extract(month from {{ start }})
    )
{%- endmacro %}

{#- 1 is Monday, 7 is Sunday. -#}
{% macro day_of_week(day) -%}
    {{ adapter.dispatch('day_of_week', 'habitus')(day) }}
{%- endmacro %}

{% macro duckdb__day_of_week(day) -%}
    cast(isodow({{ day }}) as integer)
{%- endmacro %}

{% macro default__day_of_week(day) -%}
    (weekday({{ day }}) + 1)
{%- endmacro %}
