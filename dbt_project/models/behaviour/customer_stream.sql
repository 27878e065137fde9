-- grain: one activity (Activity Schema 2.0, with the departures that its documentation states)
{{ config(materialized='increment', unique_key='activity_id') }}
{#
    Occurrences are counted on narrow rows and joined back: carrying the properties through the
    sort took 4.6 GB at ten million events and spilled to disk. An increment counts anew from the
    first activity that changed, for each customer and activity that has one.
#}
{%- set since = increment_since() %}
{%- set unioned = ref('int_events__unioned') %}
{%- set changed = ref('int_events__changed') %}
{%- set records = ref('int_events__records') %}
{%- set touched = ref('int_events__touched') %}
{%- set columns = event_columns() %}
{% if since is none %}
with activities as (
    select * from {{ unioned }}
),

keys as (
    select
        activity_id,
        ts,
        customer,
        activity
    from {{ unioned }}
),

occurrences as (
    select
        activity_id,
        row_number() over (
            partition by coalesce(customer, activity_id), activity
            order by ts, activity_id
        ) as activity_occurrence,
        lead(ts) over (
            partition by coalesce(customer, activity_id), activity
            order by ts, activity_id
        ) as activity_repeated_at
    from keys
),

final as (
    select
        activities.activity_id,
        activities.ts,
        activities.known_at,
        activities.attributed_at,
        activities.customer,
        activities.anonymous_customer_id,
        activities.activity,
        activities.feature_json,
        activities.revenue_impact,
        activities.currency,
        activities.link,
        activities.source,
        occurrences.activity_occurrence,
        occurrences.activity_repeated_at
    from activities
    inner join occurrences on activities.activity_id = occurrences.activity_id
)
{% else %}
{%- call small('sequences') %}
    -- From where on each sequence may have changed.
    select
        sequence,
        activity,
        min(ts) as from_ts
    from (
        select
            coalesce(customer, activity_id) as sequence,
            activity,
            ts
        from {{ touched }}
        where is_there
        union all
        select
            coalesce(was_customer, activity_id) as sequence,
            was_activity as activity,
            was_ts as ts
        from {{ touched }}
        where was_there
    ) as moments
    group by sequence, activity
{%- endcall %}
{%- call small('standing') %}
    -- The last one before the change, whose next may be another now, and all from there on.
    select
        stream.activity_id,
        sequences.sequence,
        stream.activity,
        stream.ts,
        stream.activity_occurrence,
        stream.activity_repeated_at,
        stream.ts < sequences.from_ts as is_earlier
    from {{ this }} as stream
    inner join sequences
        on
            coalesce(stream.customer, stream.activity_id) = sequences.sequence
            and stream.activity = sequences.activity
    where
        (
            stream.activity_repeated_at is null
            or stream.activity_repeated_at >= sequences.from_ts
        )
        -- Said once more for the scan, which knows no other table's columns.
        and (
            stream.activity_repeated_at is null
            or stream.activity_repeated_at >= {{ moment('select min(from_ts) from sequences') }}
        )
        and stream.activity_id not in (select activity_id from {{ touched }})
{%- endcall %}
{%- call small('counted') %}
    with chain as (
        select
            activity_id,
            sequence,
            activity,
            ts,
            activity_occurrence,
            activity_repeated_at
        from standing
        union all
        select
            activity_id,
            coalesce(customer, activity_id) as sequence,
            activity,
            ts,
            cast(null as bigint) as activity_occurrence,
            cast(null as timestamp) as activity_repeated_at
        from {{ touched }}
        where is_there
    ),

    earlier as (
        select
            sequence,
            activity,
            activity_occurrence - 1 as occurrences
        from standing
        where is_earlier
    )

    select
        chain.activity_id,
        chain.ts,
        chain.activity_occurrence as was_occurrence,
        chain.activity_repeated_at as was_repeated_at,
        coalesce(earlier.occurrences, 0) + row_number() over (
            partition by chain.sequence, chain.activity
            order by chain.ts, chain.activity_id
        ) as activity_occurrence,
        lead(chain.ts) over (
            partition by chain.sequence, chain.activity
            order by chain.ts, chain.activity_id
        ) as activity_repeated_at
    from chain
    left join earlier
        on chain.sequence = earlier.sequence and chain.activity = earlier.activity
{%- endcall %}
{%- call small('recounted') %}
    select
        activity_id,
        ts,
        activity_occurrence,
        activity_repeated_at
    from counted
    where
        was_occurrence is not null
        and (
            was_occurrence <> activity_occurrence
            or was_repeated_at is distinct from activity_repeated_at
        )
{%- endcall %}
with touched as (
    select * from {{ touched }}
),

arrived as (
    select
        {{ columns | join(',\n        ') }}
    from {{ changed }}
    where is_there
    union all
    select
        {%- for column in columns %}
        records.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ records }} as records
    semi join touched on records.activity_id = touched.activity_id
),

final as (
    select
        {%- for column in columns %}
        arrived.{{ column }},
        {%- endfor %}
        counted.activity_occurrence,
        counted.activity_repeated_at,
        case when touched.was_there then 'changed' else 'new' end as _change
    from arrived
    inner join counted on arrived.activity_id = counted.activity_id
    inner join touched on arrived.activity_id = touched.activity_id
    union all
    select
        {%- for column in columns %}
        stream.{{ column }},
        {%- endfor %}
        recounted.activity_occurrence,
        recounted.activity_repeated_at,
        'changed' as _change
    from {{ this }} as stream
    inner join recounted on stream.activity_id = recounted.activity_id
    where stream.ts >= {{ moment('select min(ts) from recounted') }}
    union all by name
    select
        activity_id,
        'gone' as _change
    from touched
    where not is_there
)
{% endif %}
select * from final
