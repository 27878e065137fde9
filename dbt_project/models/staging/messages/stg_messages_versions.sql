-- grain: one version of a record (message id x version), as each became known
with source as (
    {{ known_rows('messages') }}
),

final as (
    select
        message_id,
        campaign_id,
        customer_id,
        email,
        lower(trim(channel)) as channel,
        lower(trim(variant)) as variant,
        sent_at,
        delivered_at,
        opened_at,
        clicked_at,
        bounced_at,
        unsubscribed_at,
        coupon,
        updated_at,
        attributes,
        _source as source,
        _known_at as known_at,
        lead(_known_at) over (
            partition by message_id
            order by {{ version_order() }}
        ) as next_known_at,
        min(_known_at) over (partition by message_id) as first_known_at,
        {{ version_rank(['message_id']) }} = 1 as is_latest
    from source
)

select * from final
