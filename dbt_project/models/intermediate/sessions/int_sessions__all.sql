-- grain: one session, those over the cap included
{{ config(materialized='table') }}
with events as (
    select * from {{ ref('int_sessions__events') }}
),

devices as (
    select
        id_value,
        customer
    from {{ ref('int_identity__map') }}
    where id_type = 'device'
),

grouped as (
    select
        visitor,
        is_device,
        device_session_index,
        min(ts) as started_at,
        max(ts) as ended_at,
        max(known_at) as known_at,
        min(cast(attributed_at as date)) as first_attributed_on,
        max(cast(attributed_at as date)) as last_attributed_on,
        min(identified_customer) as first_identified,
        max(identified_customer) as last_identified,
        min_by(
            identified_customer, case when identified_customer is not null then position end
        ) as first_login,
        count(identified_customer) as identified_events,
        count(*) as events,
        sum(case when activity = 'page_viewed' then 1 else 0 end) as pages,
        sum(
            case
                when
                    activity in (
                        'product_viewed', 'product_list_viewed', 'cart_viewed',
                        'products_searched', 'screen_viewed'
                    )
                    then 1
                else 0
            end
        ) as other_views,
        sum(case when activity = 'heartbeat' then 1 else 0 end) as heartbeats,
        min_by(link, case when link is not null then position end) as landing_page,
        max_by(link, case when link is not null then position end) as exit_page,
        min_by(referrer, case when referrer is not null then position end) as referrer,
        min_by(utm_source, case when utm_source is not null then position end) as utm_source,
        min_by(utm_medium, case when utm_medium is not null then position end) as utm_medium,
        min_by(utm_campaign, case when utm_campaign is not null then position end) as utm_campaign
    from events
    group by visitor, is_device, device_session_index
),

owned as (
    select
        grouped.*,
        -- Whoever logs in first owns the session; else the owner of the device.
        coalesce(grouped.first_login, devices.customer) as customer,
        grouped.first_identified = grouped.last_identified
        and (
            grouped.identified_events = grouped.events
            or grouped.first_identified = devices.customer
        ) as is_of_one_login
    from grouped
    left join devices on case when grouped.is_device then grouped.visitor end = devices.id_value
),

final as (
    select
        's_' || {{ md5_key(['visitor', 'started_at', 'customer']) }} as session_id,
        customer,
        case when is_device then visitor end as anonymous_customer_id,
        visitor,
        device_session_index,
        started_at,
        ended_at,
        -- Sources that send no page calls are counted by what was viewed.
        cast(greatest(pages, other_views) as bigint) as page_views,
        events,
        cast(heartbeats as bigint) as heartbeats,
        cast(heartbeats * 10 as bigint) as engaged_seconds,
        cast(floor({{ us_between('started_at', 'ended_at') }} / 1000000) as bigint)
            as absolute_seconds,
        landing_page,
        exit_page,
        referrer,
        utm_source,
        utm_medium,
        utm_campaign,
        known_at,
        first_attributed_on,
        -- All of it known on one day, of one customer: counted as it is.
        first_attributed_on = last_attributed_on
        and coalesce(is_of_one_login, true) as is_uniform,
        {{ us_between('started_at', 'ended_at') }}
        > cast({{ var('session_cap_days') }} as bigint) * 86400000000 as is_over_cap
    from owned
)

select * from final
