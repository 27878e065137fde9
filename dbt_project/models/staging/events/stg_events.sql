-- grain: one event id, as last known
{{ config(materialized='table') }}
{#
    A table, because six models read it. Event ids are nearly always unique, so only the ids that
    come twice are ranked: a window over every event would sort the whole stream.
#}
with repeated as (
    select event_id
    from ({{ known_rows('events') }}) as known
    group by event_id
    having count(*) > 1
),

single as (
    select
        known.*,
        cast(1 as bigint) as version_rank
    from ({{ known_rows('events') }}) as known
    left join repeated on known.event_id = repeated.event_id
    where repeated.event_id is null
),

versions as (
    select
        known.*,
        {{ version_rank(['known.event_id']) }} as version_rank
    from ({{ known_rows('events') }}) as known
    inner join repeated on known.event_id = repeated.event_id
),

latest as (
    select * from single
    union all
    select * from versions
    where version_rank = 1
),

final as (
    select
        event_id,
        lower(trim(event)) as activity,
        -- The sender's clock is set right by how far it was off when it sent.
        case
            when received_at is null or sent_at is null then original_timestamp
            else {{ add_us('received_at', us_between('sent_at', 'original_timestamp')) }}
        end as ts,
        customer_id,
        login,
        email,
        anonymous_id,
        device_id,
        lower(platform) as platform,
        url,
        referrer,
        lower(utm_source) as utm_source,
        lower(utm_medium) as utm_medium,
        utm_campaign,
        product_id,
        order_id,
        query,
        price,
        quantity,
        coupon,
        campaign_id,
        currency,
        attributes,
        _source as source,
        _known_at as known_at
    from latest
)

select * from final
