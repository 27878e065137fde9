{#- RFM segments by recency and frequency quintile: vocabulary.md, all 25 cells. -#}
{% macro rfm_segment(r, f) -%}
    case
        when {{ r }} is null or {{ f }} is null then 'prospect'
        when {{ r }} <= 2 and {{ f }} <= 2 then 'hibernating'
        when {{ r }} <= 2 and {{ f }} <= 4 then 'at_risk'
        when {{ r }} <= 2 then 'cant_lose'
        when {{ r }} = 3 and {{ f }} <= 2 then 'about_to_sleep'
        when {{ r }} = 3 and {{ f }} = 3 then 'need_attention'
        when {{ r }} <= 4 and {{ f }} >= 4 then 'loyal'
        when {{ r }} = 4 and {{ f }} = 1 then 'promising'
        when {{ r }} = 5 and {{ f }} = 1 then 'new'
        when {{ r }} >= 4 and {{ f }} <= 3 then 'potential_loyalist'
        else 'champions'
    end
{%- endmacro %}

{#- Quintile of a value: 1 plus the number of quintile borders below it, so ties share a score. -#}
{% macro quintile(value, q20, q40, q60, q80) -%}
    cast(
        1
        {%- for border in [q20, q40, q60, q80] %}
        + case when {{ value }} > {{ border }} then 1 else 0 end
        {%- endfor %}
        as integer
    )
{%- endmacro %}
