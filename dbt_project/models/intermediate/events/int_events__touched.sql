-- grain: one activity that may have changed since the last publication: what it is, what it was
{{ config(materialized='table') }}
{%- set since = increment_since() %}
{%- set changed = ref('int_events__changed') %}
{%- set records = ref('int_events__records') %}
{%- set columns = [
    'activity_id', 'customer', 'activity', 'ts', 'is_there', 'was_there', 'was_customer',
    'was_activity', 'was_ts',
] %}
with events as (
    select
        {{ columns | join(',\n        ') }}
    from {{ changed }}
),
{% if since is none %}
final as (
    select * from events
)
{% else %}
{%- set before = standing('intermediate', 'int_events__records', since) %}
changed_ids as materialized (
    {{ differing_keys(records, before, ['activity_id'], event_columns()) }}
),

is_now as (
    select records.* from {{ records }} as records
    semi join changed_ids on records.activity_id = changed_ids.activity_id
),

was as (
    select records.* from {{ before }} as records
    semi join changed_ids on records.activity_id = changed_ids.activity_id
),

final as (
    select * from events
    union all
    select
        coalesce(is_now.activity_id, was.activity_id) as activity_id,
        is_now.customer,
        is_now.activity,
        is_now.ts,
        is_now.activity_id is not null as is_there,
        was.activity_id is not null as was_there,
        was.customer as was_customer,
        was.activity as was_activity,
        was.ts as was_ts
    from is_now
    full outer join was on is_now.activity_id = was.activity_id
)
{% endif %}
select * from final
