-- grain: one session, those over the cap included
{{ config(materialized='increment', unique_key='session_id') }}
{#
    An increment cuts anew from the first session that a changed event may belong to or join, for
    each visitor that has one. Events that did not change are read from that moment on; where all
    of a visitor's changed, as when a device finds its owner, there is nothing else to read.
#}
{%- set since = increment_since() %}
{%- set all_events = ref('int_sessions__events') %}
{%- set changed = ref('int_events__changed') %}
{%- set stg_events = ref('stg_events') %}
{%- set unchanged_events = events_of('unchanged') %}
{%- set gap = "cast(" ~ var('session_gap_minutes') ~ " as bigint) * 60000000" %}
{%- if since is not none %}
{%- call small('visitors') %}
    select
        visitor,
        min(ts) as changed_from
    from (
        select
            coalesce(anonymous_customer_id, identified_customer) as visitor,
            ts
        from {{ changed }}
        where is_there
        union all
        select
            was_visitor as visitor,
            was_ts as ts
        from {{ changed }}
        where was_there
    ) as moments
    where visitor is not null
    group by visitor
{%- endcall %}
{%- call small('standing') %}
    select
        sessions.session_id,
        sessions.visitor,
        sessions.customer,
        sessions.started_at,
        sessions.events,
        {{ us_between('sessions.ended_at', 'visitors.changed_from') }} <= {{ gap }} as is_reached
    from {{ this }} as sessions
    inner join visitors on sessions.visitor = visitors.visitor
{%- endcall %}
{%- call small('cuts') %}
    select
        visitors.visitor,
        least(
            visitors.changed_from,
            coalesce(
                min(case when standing.is_reached then standing.started_at end),
                visitors.changed_from
            )
        ) as cut_at,
        count(case when not standing.is_reached then 1 end) as sessions_before,
        coalesce(sum(case when standing.is_reached then standing.events end), 0) as events_after
    from visitors
    left join standing on visitors.visitor = standing.visitor
    group by visitors.visitor, visitors.changed_from
{%- endcall %}
{%- call small('mixed') %}
    -- Visitors with events after their cut that did not change.
    select
        cuts.visitor,
        cuts.cut_at
    from cuts
    left join (
        select
            was_visitor as visitor,
            count(*) as events
        from {{ changed }}
        where was_there
        group by was_visitor
    ) as changed_standing
        on cuts.visitor = changed_standing.visitor
    where cuts.events_after > coalesce(changed_standing.events, 0)
{%- endcall %}
{%- set mixed_from = moment('select min(cut_at) from mixed') %}
{%- endif %}
with
{%- if since is none %}
events as (
    select * from {{ all_events }}
),
{% else %}
cut_off as (
    select session_id from standing
    where is_reached
),

-- By customer: those who share a device are counted apart.
before as (
    select
        visitor,
        customer,
        count(*) as sessions
    from standing
    where not is_reached
    group by visitor, customer
),

unchanged as (
    select stg.* from {{ stg_events }} as stg
    anti join {{ changed }} as changed on 'event:' || stg.event_id = changed.activity_id
    where
        stg.ts >= {{ mixed_from }}
        and (
            coalesce(stg.anonymous_id, stg.device_id) in (select visitor from mixed)
            or coalesce(stg.anonymous_id, stg.device_id) is null
        )
),

unchanged_events as (
    {{ unchanged_events }}

    select * from final
),

{%- set columns = [
    'activity_id', 'ts', 'known_at', 'attributed_at', 'identified_customer',
    'anonymous_customer_id', 'activity', 'link', 'referrer', 'utm_source', 'utm_medium',
    'utm_campaign',
] %}

cut_events as (
    select
        {%- for column in columns %}
        unchanged_events.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from unchanged_events
    inner join mixed
        on
            coalesce(
                unchanged_events.anonymous_customer_id, unchanged_events.identified_customer
            ) = mixed.visitor
            and unchanged_events.ts >= mixed.cut_at
    union all
    select
        {{ columns | join(',\n        ') }}
    from {{ changed }}
    where is_there
),

placed as (
    {{ session_events('cut_events') }}

    select * from final
),

events as (
    select
        placed.* replace (
            placed.device_session_index + cuts.sessions_before as device_session_index
        )
    from placed
    inner join cuts on placed.visitor = cuts.visitor
),
{% endif %}

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

described as (
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
        > cast({{ var('session_cap_days') }} as bigint) * 86400000000 as is_over_cap,
        row_number() over (
            partition by visitor, customer order by device_session_index
        ) as customer_session_index
    from owned
),

numbered as (
    {%- if since is none %}
    select * from described
    {%- else %}
    select
        described.* replace (
            described.customer_session_index + coalesce(before.sessions, 0)
                as customer_session_index
        )
    from described
    left join before
        on
            described.visitor = before.visitor
            and described.customer is not distinct from before.customer
    {%- endif %}
),

{{ final_rows(since, 'numbered', 'cut_off', ['session_id']) }}

select * from final
