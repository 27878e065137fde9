-- grain: one customer x day x day on which it became known
{%- set measures = day_measures() %}
{%- set stream_measures = [
    'events', 'page_views', 'product_views', 'products_viewed', 'searches', 'cart_adds',
    'cart_removes', 'checkouts', 'messages_delivered', 'messages_opened', 'messages_clicked',
    'unsubscribes',
] %}
{%- set ledger_measures = [
    'orders', 'units', 'revenue', 'discount', 'coupons', 'price_paid', 'price_base', 'refunds',
    'refunded_amount', 'deliveries', 'late_deliveries', 'delay_days',
] %}
{%- set ticket_measures = ['tickets', 'bad_tickets', 'satisfaction_sum', 'satisfaction_count'] %}
with stream as (
    select
        customer,
        cast(ts as date) as day,
        cast(attributed_at as date) as known_on,
        activity,
        case
            when activity = 'product_viewed' then {{ json_string('feature_json', 'product_id') }}
        end as product_id
    from {{ ref('customer_stream') }}
    where customer is not null
),

stream_days as (
    select
        customer,
        day,
        known_on,
        count(*) as events,
        sum(case when activity = 'page_viewed' then 1 else 0 end) as page_views,
        sum(case when activity = 'product_viewed' then 1 else 0 end) as product_views,
        count(distinct product_id) as products_viewed,
        sum(case when activity = 'products_searched' then 1 else 0 end) as searches,
        sum(case when activity = 'product_added' then 1 else 0 end) as cart_adds,
        sum(case when activity = 'product_removed' then 1 else 0 end) as cart_removes,
        sum(case when activity = 'checkout_started' then 1 else 0 end) as checkouts,
        sum(
            case when activity in ('email_delivered', 'message_delivered') then 1 else 0 end
        ) as messages_delivered,
        sum(
            case when activity in ('email_opened', 'message_opened') then 1 else 0 end
        ) as messages_opened,
        sum(
            case when activity in ('email_link_clicked', 'message_clicked') then 1 else 0 end
        ) as messages_clicked,
        sum(case when activity = 'unsubscribed' then 1 else 0 end) as unsubscribes
    from stream
    group by customer, day, known_on
),

parts as (
    select
        customer,
        day,
        known_on,
        {{ measures_part(dict(zip(stream_measures, stream_measures))) }}
    from stream_days
    union all
    select
        customer,
        day,
        known_on,
        {{ measures_part({'sessions': 'sessions'}) }}
    from {{ ref('int_sessions__known') }}
    union all
    select
        customer,
        day,
        cast(known_at as date) as known_on,
        {{ measures_part(dict(zip(ledger_measures, ledger_measures))) }}
    from {{ ref('int_orders__ledger') }}
    union all
    select
        customer,
        day,
        known_on,
        {{ measures_part(dict(zip(ticket_measures, ticket_measures))) }}
    from {{ ref('int_customer_days__tickets') }}
    union all
    select
        customer,
        day,
        known_on,
        {{ measures_part({
            'feedback': '1',
            'feedback_share_sum': 'coalesce(share, 0)',
            'feedback_share_count': 'case when share is null then 0 else 1 end',
            'nps_sum': 'coalesce(nps, 0)',
            'nps_count': 'case when nps is null then 0 else 1 end',
        }) }}
    from {{ ref('int_customer_days__feedback') }}
    where customer is not null
),

clock as (
    select * from {{ ref('int_run_clock') }}
),

summed as (
    select
        parts.customer,
        parts.day,
        parts.known_on,
        {%- for measure, type in measures.items() %}
        cast(sum(parts.{{ measure }}) as {{ type }}) as {{ measure }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from parts
    cross join clock
    where parts.day <= clock.as_of and parts.known_on <= clock.as_of
    group by parts.customer, parts.day, parts.known_on
),

-- A version that changes nothing that we count leaves a row of zeros.
final as (
    select * from summed
    where
        {%- for measure in measures %}
        {{ 'or ' if not loop.first }}{{ measure }} <> 0
        {%- endfor %}
)

select * from final
