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
with loaded as (
    select * from {{ rows_since('insertions', stg_events, since) }}
),

replaced as (
    select event_id from {{ rows_since('deletions', stg_events, since) }}
),

changed_ids as (
    {{ differing(
        map, standing('intermediate', 'int_identity__map', since),
        ['id_type', 'id_value', 'customer', 'known_at']
    ) }}
),

changed_orders as (
    (
        select order_id from {{ versions }}
        except
        select order_id from {{ standing('intermediate', 'int_orders__versions', since) }}
    )
    union
    (
        select order_id from {{ standing('intermediate', 'int_orders__versions', since) }}
        except
        select order_id from {{ versions }}
    )
),

clocks as (
    {{ run_days(clock, since) }}
),

changed_values as materialized (
    select distinct
        id_type,
        id_value
    from changed_ids
),

moved as materialized (
    select stg.event_id
    from {{ stg_events }} as stg
    cross join clocks
    where
        stg.customer_id in (select id_value from changed_values where id_type = 'customer')
        or stg.login in (select id_value from changed_values where id_type = 'login')
        or stg.email in (select id_value from changed_values where id_type = 'email')
        or stg.anonymous_id in (select id_value from changed_values where id_type = 'device')
        or stg.device_id in (select id_value from changed_values where id_type = 'device')
        or (
            stg.activity in ('order_completed', 'order_refunded', 'order_cancelled')
            and stg.order_id in (select order_id from changed_orders)
        )
        or (
            cast(stg.ts as date) > least(clocks.was_as_of, clocks.as_of)
            and cast(stg.ts as date) <= greatest(clocks.was_as_of, clocks.as_of)
        )
),

standing_moved as materialized (
    select event_id from moved
    except
    select event_id from loaded
),

touched as (
    select * from loaded
    union all by name
    select stg.* from {{ stg_events }} as stg
    semi join standing_moved on stg.event_id = standing_moved.event_id
),

is_now as (
    {{ touched_events }}

    select * from final
),

stood as materialized (
    select 'event:' || event_id as activity_id from standing_moved
    union
    select 'event:' || event_id as activity_id from replaced
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
