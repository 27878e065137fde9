-- grain: one customer x day on which something may have changed since the last publication
{{ config(materialized='table') }}
{#
    A table of its own, so that what reads it knows how small it is: taken for large, it had all ten
    million activities put into memory to be looked up, 8 GB of them.
#}
{%- set since = increment_since() %}
{%- set touched = ref('int_events__touched') %}
{%- set sessions = ref('int_sessions__all') %}
{%- set records = ref('int_customer_days__records') %}
{%- set clock = ref('int_run_clock') %}
{% if since is none %}
with final as (
    select
        customer,
        day
    from {{ records }}
    where 1 = 0
)
{% else %}
{%- call small('changed_sessions') %}
    {{ changed_since(
        sessions, ['visitor', 'customer', 'started_at', 'ended_at', 'is_uniform'], since
    ) }}
{%- endcall %}
{%- set mixed_from = moment('select min(started_at) from changed_sessions where not is_uniform') %}
with clocks as (
    {{ run_days(clock, since) }}
),

final as (
    select
        customer,
        cast(ts as date) as day
    from {{ touched }}
    where is_there
    union
    select
        was_customer as customer,
        cast(was_ts as date) as day
    from {{ touched }}
    where was_there
    union
    select
        customer,
        cast(started_at as date) as day
    from changed_sessions
    union
    -- Of what these sessions hold, all that changed is among the touched; the rest stood as it is.
    select
        events.customer,
        cast(events.ts as date) as day
    from {{ standing('behaviour', 'customer_stream', since) }} as events
    inner join changed_sessions as mixed
        on
            not mixed.is_uniform
            and coalesce(events.anonymous_customer_id, events.customer) = mixed.visitor
            and events.ts between mixed.started_at and mixed.ended_at
    where events.activity_id like 'event:%' and events.ts >= {{ mixed_from }}
    union
    select
        customer,
        day
    from (
        {{ differing_keys(
            records, standing('intermediate', 'int_customer_days__records', since),
            ['customer', 'day', 'known_on'],
            adapter.get_columns_in_relation(records) | map(attribute='name')
        ) }}
    ) as differing
    union
    -- What was dated after the last run's day.
    select
        records.customer,
        records.day
    from {{ records }} as records
    inner join clocks
        on greatest(records.day, records.known_on) > least(clocks.was_as_of, clocks.as_of)
)
{% endif %}
select * from final
