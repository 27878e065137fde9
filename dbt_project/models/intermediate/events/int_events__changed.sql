-- grain: one web or app event whose row in the stream may have changed since the last publication
{{ config(materialized='table') }}
{#
    Empty when everything is built anew. Else the events that were loaded, and those that stand and
    whose customer, order or place before the run's day may be another now: with what they are, and
    what they were. All that follows is brought forward by these rows alone.
#}
{%- set since = increment_since() %}
{%- set stream_columns = event_columns() + [
    'identified_customer', 'referrer', 'utm_source', 'utm_medium', 'utm_campaign',
] %}
{%- set events = ref('int_events__events') %}
{%- set touched_events = events_of('touched') %}
{%- set stg_events = ref('stg_events') %}
{%- set map = ref('int_identity__map') %}
{%- set versions = ref('int_orders__versions') %}
{%- set clock = ref('int_run_clock') %}
{% if since is none %}
with final as (
    select
        {{ stream_columns | join(',\n        ') }},
        true as is_there,
        false as was_there,
        customer as was_customer,
        activity as was_activity,
        ts as was_ts,
        anonymous_customer_id as was_visitor
    from {{ events }}
    where 1 = 0
)
{% else %}
{%- call small('changed_values') %}
    -- What was never seen before is on no event but the loaded ones.
    select
        changed.id_type,
        changed.id_value
    from (
        {{ differing_keys(
            map, standing('intermediate', 'int_identity__map', since),
            ['id_type', 'id_value'], ['customer', 'known_at']
        ) }}
    ) as changed
    semi join {{ standing('intermediate', 'int_identity__nodes', since) }} as nodes
        on changed.id_type = nodes.id_type and changed.id_value = nodes.id_value
{%- endcall %}
{%- call small('changed_orders') %}
    {%- set before = standing('intermediate', 'int_orders__versions', since) %}
    (
        select order_id from {{ versions }}
        except
        select order_id from {{ before }}
    )
    union
    (
        select order_id from {{ before }}
        except
        select order_id from {{ versions }}
    )
{%- endcall %}
{%- call small('days_between') %}
    select
        least(was_as_of, as_of) as after_day,
        greatest(was_as_of, as_of) as last_day
    from ({{ run_days(clock, since) }}) as clocks
{%- endcall %}
{%- call small('moved') %}
    select
        stg.event_id,
        stg.ts
    from {{ stg_events }} as stg
    cross join days_between
    where
        stg.ts >= {{ moment('select after_day from days_between') }}
        and cast(stg.ts as date) > days_between.after_day
        and cast(stg.ts as date) <= days_between.last_day
    {%- if has_rows('changed_orders') %}
    union
    select
        event_id,
        ts
    from {{ stg_events }}
    where
        activity in ('order_completed', 'order_refunded', 'order_cancelled')
        and order_id in (select order_id from changed_orders)
    {%- endif %}
    {%- if has_rows('changed_values') %}
    union
    select
        event_id,
        ts
    from {{ stg_events }}
    where
        {%- for id_type, column in [
            ('customer', 'customer_id'), ('login', 'login'), ('email', 'email'),
            ('device', 'anonymous_id'), ('device', 'device_id'),
        ] %}
        {{ 'or ' if not loop.first -}}
        {{ column }} in (select id_value from changed_values where id_type = '{{ id_type }}')
        {%- endfor %}
    {%- endif %}
{%- endcall %}
{%- call small('standing_moved') %}
    select moved.* from moved
    anti join {{ rows_since('insertions', stg_events, since) }} as loaded
        on moved.event_id = loaded.event_id
{%- endcall %}
{%- call small('stood') %}
    select
        'event:' || event_id as activity_id,
        ts
    from standing_moved
    union all
    select
        'event:' || event_id as activity_id,
        ts
    from {{ rows_since('deletions', stg_events, since) }}
{%- endcall %}
with touched as (
    select * from {{ rows_since('insertions', stg_events, since) }}
    union all by name
    select stg.* from {{ stg_events }} as stg
    semi join standing_moved on stg.event_id = standing_moved.event_id
    where stg.ts >= {{ moment('select min(ts) from standing_moved') }}
),

is_now as (
    {{ touched_events }}

    select * from final
),

was as (
    select
        stream.activity_id,
        stream.customer,
        stream.activity,
        stream.ts,
        coalesce(stream.anonymous_customer_id, stream.customer) as visitor
    from {{ standing('behaviour', 'customer_stream', since) }} as stream
    semi join stood on stream.activity_id = stood.activity_id
    where stream.ts >= {{ moment('select min(ts) from stood') }}
),

final as (
    select
        coalesce(is_now.activity_id, was.activity_id) as activity_id,
        {%- for column in stream_columns if column != 'activity_id' %}
        is_now.{{ column }},
        {%- endfor %}
        is_now.activity_id is not null as is_there,
        was.activity_id is not null as was_there,
        was.customer as was_customer,
        was.activity as was_activity,
        was.ts as was_ts,
        was.visitor as was_visitor
    from is_now
    full outer join was on is_now.activity_id = was.activity_id
)
{% endif %}
select * from final
