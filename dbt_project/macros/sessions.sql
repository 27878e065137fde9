{#- Default channel group from the first touch of a session, as web-analytics users know them. -#}
{% macro channel_group(utm_source, utm_medium, utm_campaign, referrer) -%}
    case
        when {{ utm_medium }} in ('cpc', 'ppc', 'paid', 'paid_search', 'paidsearch', 'sem')
            then 'paid_search'
        when {{ utm_medium }} in ('email', 'e-mail', 'newsletter') then 'email'
        when {{ utm_medium }} in ('sms', 'push') then 'message'
        when
            {{ utm_medium }} in ('social', 'paid_social', 'social-media')
            or {{ utm_source }} in ('wechat', 'weibo', 'facebook', 'instagram', 'tiktok', 'douyin',
                'xiaohongshu', 'twitter', 'linkedin')
            then 'social'
        when {{ utm_medium }} in ('affiliate', 'referral') then 'referral'
        when {{ utm_medium }} in ('display', 'banner', 'cpm') then 'display'
        when
            {{ utm_medium }} = 'organic'
            or {{ referrer }} like '%google.%' or {{ referrer }} like '%baidu.%'
            or {{ referrer }} like '%bing.%' or {{ referrer }} like '%sogou.%'
            or {{ referrer }} like '%so.com%' or {{ referrer }} like '%duckduckgo.%'
            then 'organic_search'
        when coalesce({{ utm_medium }}, {{ utm_source }}, {{ utm_campaign }}) is not null
            then 'other'
        when coalesce({{ referrer }}, '') <> '' then 'referral'
        else 'direct'
    end
{%- endmacro %}

{#- Engaged: enough views, enough heartbeats of ten seconds, or a conversion. -#}
{% macro is_engaged(page_views, heartbeats, is_converted) -%}
    (
        {{ page_views }} >= {{ var('engaged_page_views') }}
        or {{ heartbeats }} >= {{ var('engaged_heartbeats') }}
        or {{ is_converted }}
    )
{%- endmacro %}

{#- 1 where a session begins: at the first event, or after a silence longer than the gap. -#}
{% macro session_start(previous_ts, ts) -%}
    case
        when {{ previous_ts }} is null then 1
        when
            {{ us_between(previous_ts, ts) }}
            > cast({{ var('session_gap_minutes') }} as bigint) * 60000000
            then 1
        else 0
    end
{%- endmacro %}

{#- Events of a relation shaped as `int_events__events`, each with its place in a session. -#}
{% macro session_events(relation) -%}
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
    from {{ relation }}
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
{%- endmacro %}

{#- Sessions begun, by customer, day and day of knowing; of relations shaped as the two models. -#}
{% macro sessions_known(sessions, events) -%}
with sessions as (
    select * from {{ sessions }}
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
    from {{ events }} as events
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
{%- endmacro %}
