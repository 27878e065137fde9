-- grain: one event id, as last known
{{ config(materialized='increment', unique_key='event_id') }}
{#
    A table, because six models read it. Event ids are nearly always unique, so only the ids that
    come twice are ranked: a window over every event would sort the whole stream. An increment
    holds what was loaded since against the versions that stand. Of contents that became known at one
    moment, what they hold decides which stands, and nothing of where they came.
#}
{%- set since = increment_since() %}
{%- set columns = [
    'event_id', 'activity', 'ts', 'customer_id', 'login', 'email', 'anonymous_id', 'device_id',
    'platform', 'url', 'referrer', 'utm_source', 'utm_medium', 'utm_campaign', 'product_id',
    'order_id', 'query', 'price', 'quantity', 'coupon', 'campaign_id', 'currency', 'attributes',
    'source', 'known_at',
] %}
with loaded as (
    {{ known_rows('events') if since is none else known_rows('events_fresh') }}
),

shaped as (
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
    from loaded
),
{% if since is none %}
candidates as (
    select
        *,
        cast('new' as {{ dbt.type_string() }}) as _change
    from shaped
),
{% else %}
standing as (
    select stg.* from {{ this }} as stg
    semi join shaped on stg.event_id = shaped.event_id
),

candidates as (
    select
        shaped.*,
        case when standing.event_id is null then 'new' else 'changed' end as _change
    from shaped
    left join standing on shaped.event_id = standing.event_id
    union all
    select
        {{ columns | join(',\n        ') }},
        'changed' as _change
    from standing
),
{% endif %}
repeated as (
    select event_id
    from candidates
    group by event_id
    having count(*) > 1
),

single as (
    select
        candidates.*,
        cast(1 as bigint) as version_rank
    from candidates
    left join repeated on candidates.event_id = repeated.event_id
    where repeated.event_id is null
),

versions as (
    select
        candidates.*,
        row_number() over (
            partition by candidates.event_id
            order by
                candidates.known_at desc
                {%- for column in columns if column != 'known_at' %},
                candidates.{{ column }} desc nulls last
                {%- endfor %}
        ) as version_rank
    from candidates
    inner join repeated on candidates.event_id = repeated.event_id
),

latest as (
    select * from single
    union all
    select * from versions
    where version_rank = 1
),

final as (
    select
        {%- for column in columns %}
        {{ column }}{{ ',' if not loop.last or since is not none }}
        {%- endfor %}
        {{ '_change' if since is not none }}
    from latest
)

select * from final
