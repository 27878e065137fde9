-- grain: one message id, as last known
with versions as (
    select * from {{ ref('stg_messages_versions') }}
),

final as (
    select
        message_id,
        campaign_id,
        customer_id,
        email,
        channel,
        variant,
        sent_at,
        delivered_at,
        opened_at,
        clicked_at,
        bounced_at,
        unsubscribed_at,
        coupon,
        updated_at,
        attributes,
        source,
        known_at,
        first_known_at
    from versions
    where is_latest
)

select * from final
