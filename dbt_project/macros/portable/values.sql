{#- Values, arrays, JSON and keys, where engines differ. -#}

{% macro try_cast(value, type) -%}
    {{ adapter.dispatch('try_cast', 'habitus')(value, type) }}
{%- endmacro %}

{% macro default__try_cast(value, type) -%}
    try_cast({{ value }} as {{ type }})
{%- endmacro %}

{#- Values as an array in the order of `order_by`, which must be unique. -#}
{% macro sorted_array_agg(value, order_by) -%}
    {{ adapter.dispatch('sorted_array_agg', 'habitus')(value, order_by) }}
{%- endmacro %}

{% macro duckdb__sorted_array_agg(value, order_by) -%}
    list({{ value }} order by {{ order_by }})
{%- endmacro %}

{% macro default__sorted_array_agg(value, order_by) -%}
    transform(
        array_sort(collect_list(named_struct('k', {{ order_by }}, 'v', {{ value }}))), x -> x.v
    )
{%- endmacro %}

{% macro array_length(value) -%}
    {{ adapter.dispatch('array_length', 'habitus')(value) }}
{%- endmacro %}

{% macro duckdb__array_length(value) -%}
    len({{ value }})
{%- endmacro %}

{% macro default__array_length(value) -%}
    size({{ value }})
{%- endmacro %}

{#- One string of a JSON object; null where it is missing. -#}
{% macro json_string(json, key) -%}
    {{ adapter.dispatch('json_string', 'habitus')(json, key) }}
{%- endmacro %}

{% macro duckdb__json_string(json, key) -%}
    json_extract_string({{ json }}, '$."{{ key }}"')
{%- endmacro %}

{% macro default__json_string(json, key) -%}
    get_json_object({{ json }}, '$.{{ key }}')
{%- endmacro %}

{#- A value as JSON: text quoted and escaped, numbers as they are. -#}
{% macro json_value(value) -%}
    {{ adapter.dispatch('json_value', 'habitus')(value) }}
{%- endmacro %}

{% macro duckdb__json_value(value) -%}
    cast(to_json({{ value }}) as varchar)
{%- endmacro %}

{% macro default__json_value(value) -%}
    regexp_extract(to_json(named_struct('v', {{ value }})), '^.v.:(.*).$', 1)
{%- endmacro %}

{#-
    A JSON object of the columns that are not null, with the members of the JSON object in
    `attributes` behind them. Text is put together by hand: the engines' own functions keep nulls
    here and drop them there.
-#}
{% macro json_of(columns, attributes=none, relation=none) -%}
    {%- set prefix = relation ~ '.' if relation else '' %}
    concat('{', substr(concat(
        ''
        {%- for column in columns %},
        coalesce(',"{{ column }}":' || {{ json_value(prefix ~ column) }}, '')
        {%- endfor %}
        {%- if attributes is not none %},
        case
            when {{ prefix ~ attributes }} is null or {{ prefix ~ attributes }} = '{}' then ''
            else ',' || substr({{ prefix ~ attributes }}, 2, length({{ prefix ~ attributes }}) - 2)
        end
        {%- endif %}
    ), 2), '}')
{%- endmacro %}

{#- Exact quantile with linear interpolation, as a double. -#}
{% macro exact_quantile(value, share) -%}
    {{ adapter.dispatch('exact_quantile', 'habitus')(value, share) }}
{%- endmacro %}

{% macro duckdb__exact_quantile(value, share) -%}
    quantile_cont(cast({{ value }} as double), {{ share }})
{%- endmacro %}

{% macro default__exact_quantile(value, share) -%}
    percentile(cast({{ value }} as double), {{ share }})
{%- endmacro %}

{#- A key of several columns: 32 hexadecimal digits; null counts as a value of its own. -#}
{% macro md5_key(columns) -%}
    md5(
        {%- for column in columns %}
        coalesce(cast({{ column }} as {{ dbt.type_string() }}), '~')
        {{- " || '|' ||" if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{#- The numbers 0 .. 10^digits - 1, one a row, column `n`. -#}
{% macro numbers(digits) -%}
    (
        select cast(
            {%- for digit in range(digits) %}
            d{{ digit }}.n * {{ 10 ** digit }}{{ ' +' if not loop.last }}
            {%- endfor %} as integer
        ) as n
        from
            {%- for digit in range(digits) %}
            {{ 'cross join' if not loop.first }} (
                {%- for value in range(10) %}
                select {{ value }} as n{{ ' union all' if not loop.last }}
                {%- endfor %}
            ) as d{{ digit }}
            {%- endfor %}
    )
{%- endmacro %}

{#- A double that threads cannot change: nine digits are kept. -#}
{% macro stable(value) -%}
    round(cast({{ value }} as double), 9)
{%- endmacro %}

{#- The integer with only this bit set, from 0 to 62. -#}
{% macro bit(position) -%}
    {{ adapter.dispatch('bit', 'habitus')(position) }}
{%- endmacro %}

{% macro duckdb__bit(position) -%}
    (cast(1 as bigint) << cast({{ position }} as integer))
{%- endmacro %}

{% macro default__bit(position) -%}
    shiftleft(cast(1 as bigint), cast({{ position }} as int))
{%- endmacro %}
