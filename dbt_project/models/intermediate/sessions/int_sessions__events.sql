-- grain: one event of somebody, with its place in a session
{#
    Only what a session needs goes through the sort, which is what this costs at ten million
    events; the owner of the device is looked up later, by session.
#}
with events as (
    select
        activity_id,
        ts,
        known_at,
        attributed_at,
        identified_customer,
        coalesce(anonymous_customer_id, identified_customer) as visitor,
        anonymous_customer_id is not null as is_device,
        activity,
        link,
        referrer,
        utm_source,
        utm_medium,
        utm_campaign
    from {{ ref('int_events__events') }}
    where coalesce(anonymous_customer_id, identified_customer) is not null
),

ordered as (
    select
        *,
        row_number() over (partition by visitor order by ts, activity_id) as position,
        lag(ts) over (partition by visitor order by ts, activity_id) as previous_ts,
        lag(identified_customer) over (
            partition by visitor order by ts, activity_id
        ) as previous_identified
    from events
),

flagged as (
    select
        *,
        -- A shared device: when one known customer follows another, the session is another's.
        case
            when previous_identified <> identified_customer then 1
            else {{ session_start('previous_ts', 'ts') }}
        end as is_start
    from ordered
),

final as (
    select
        ts,
        known_at,
        attributed_at,
        identified_customer,
        visitor,
        is_device,
        position,
        activity,
        link,
        referrer,
        utm_source,
        utm_medium,
        utm_campaign,
        cast(sum(is_start) over (
            partition by visitor
            order by position
            rows between unbounded preceding and current row
        ) as bigint) as device_session_index
    from flagged
)

select * from final
