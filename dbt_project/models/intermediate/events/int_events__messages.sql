-- grain: one activity of a campaign message; a holdout's silence is none
{%- set ids = [('customer', 'customer_id'), ('email', 'email')] %}
{%- set moments = ['delivered', 'opened', 'clicked', 'bounced', 'unsubscribed'] %}
with versions as (
    select * from {{ ref('stg_messages_versions') }}
    where coalesce(variant, '') <> 'holdout'
),

known as (
    select
        message_id,
        {%- for moment in moments %}
        min(case when {{ moment }}_at is not null then known_at end) as {{ moment }}_known_at
        {{- ',' if not loop.last }}
        {%- endfor %}
    from versions
    group by message_id
),

messages as (
    select
        versions.*,
        {%- for moment in moments %}
        known.{{ moment }}_known_at,
        {%- endfor %}
        case when versions.channel = 'email' then 'email' else 'message' end as kind,
        {{ resolved_customer(ids) }} as customer,
        {{ resolved_at('versions.first_known_at', ids) }} as attributed_at
    from versions
    inner join known on versions.message_id = known.message_id
    {{ identity_joins('versions', ids) }}
    where versions.is_latest
),

final as (
    {{ activities('messages', 'message', 'message_id',
        ['message_id', 'campaign_id', 'channel', 'variant', 'coupon'],
        [
            ['delivered', "kind || '_delivered'", 'delivered_at', 'delivered_known_at', none, none],
            ['opened', "kind || '_opened'", 'opened_at', 'opened_known_at', none, none],
            ['clicked',
             "case kind when 'email' then 'email_link_clicked' else 'message_clicked' end",
             'clicked_at', 'clicked_known_at', none, none],
            ['bounced', "kind || '_bounced'", 'bounced_at', 'bounced_known_at', none, none],
            ['unsubscribed', "'unsubscribed'", 'unsubscribed_at', 'unsubscribed_known_at', none,
             none],
        ]
    ) }}
)

select * from final
