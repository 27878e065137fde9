-- grain: one campaign message, or one deliberate silence (holdout)
{%- set ids = [('customer', 'customer_id'), ('email', 'email')] %}
with messages as (
    select * from {{ ref('stg_messages') }}
),

clock as (
    select * from {{ ref('int_run_clock') }}
),

final as (
    select
        messages.message_id,
        {{ resolved_customer(ids) }} as customer,
        messages.campaign_id,
        messages.channel,
        messages.variant,
        coalesce(messages.variant, '') = 'holdout' as is_holdout,
        messages.sent_at,
        messages.delivered_at,
        messages.opened_at,
        messages.clicked_at,
        messages.bounced_at,
        messages.unsubscribed_at,
        messages.coupon,
        messages.first_known_at as known_at,
        messages.source
    from messages
    cross join clock
    {{ identity_joins('messages', ids) }}
    where cast(messages.sent_at as date) <= clock.as_of
)

select * from final
