-- grain: one customer x day x known day: sessions begun, as far as they were known
{#
    A session whose events became known on different days is counted anew from the events of each
    known day: later events can join two sessions, and a count as of a day must not see that.
#}
with sessions as (
    select * from {{ ref('int_sessions__all') }}
),

uniform as (
    select
        customer,
        cast(started_at as date) as day,
        first_attributed_on as known_on
    from sessions
    where is_uniform
),

mixed as (
    select
        visitor,
        device_session_index,
        started_at,
        ended_at
    from sessions
    where not is_uniform
),

mixed_events as (
    select
        events.customer,
        events.ts,
        cast(events.attributed_at as date) as known_on,
        lag(events.ts) over (
            partition by
                mixed.visitor,
                mixed.device_session_index,
                events.customer,
                cast(events.attributed_at as date)
            order by events.ts, events.activity_id
        ) as previous_ts
    from {{ ref('int_events__events') }} as events
    inner join mixed
        on
            coalesce(events.anonymous_customer_id, events.identified_customer) = mixed.visitor
            and events.ts between mixed.started_at and mixed.ended_at
),

starts as (
    select
        customer,
        day,
        known_on
    from uniform
    union all
    select
        customer,
        cast(ts as date) as day,
        known_on
    from mixed_events
    where {{ session_start('previous_ts', 'ts') }} = 1
),

final as (
    select
        customer,
        day,
        known_on,
        count(*) as sessions
    from starts
    where customer is not null
    group by customer, day, known_on
)

select * from final
