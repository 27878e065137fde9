-- grain: one customer x as_of of every cutoff, if the customer was known to buy in the year before
{{ config(tags=['before_ml']) }}
{#
    Point in time: a row of `customer_days_known` counts for an as_of only if both its day and the
    day on which it became known are not after it. Three joins by how far they look back, because
    most rows are browsing, which matters for weeks, and few are purchases, which matter for ever;
    each is one of equal days with the few pairs of a day and a cutoff.
#}
{%- set active = var('ml_active_days') %}
with cutoffs as (
    select distinct as_of from {{ ref('ml_cutoffs') }}
),

permitted as (
    {{ granted_intervals('personalisation') }}
),

-- Grouped by a number instead of a text of 34 characters: a quarter less time. Counted among those
-- whose digests begin alike, so that no single worker has to sort everybody.
people as (
    select
        customer,
        cast(row_number() over (
            partition by substring(customer, 3, 2)
            order by customer
        ) as bigint) * 65536
        + ascii(substring(customer, 3, 1)) * 256
        + ascii(substring(customer, 4, 1)) as person
    from (select distinct customer from permitted) as distinct_permitted
),

-- Nobody else's days are even looked at.
days as (
    select
        days.*,
        people.person
    from {{ ref('customer_days_known') }} as days
    inner join people on days.customer = people.customer
),

windows as (
    select
        recorded.day,
        cutoffs.as_of,
        {{ days_between('recorded.day', 'cutoffs.as_of') }} as age_days
    from (select distinct day from days) as recorded
    inner join cutoffs on recorded.day <= cutoffs.as_of
),

-- Purchase days as they stood: what was cancelled or refunded by then is gone.
purchases as (
    select
        known.person,
        windows.as_of,
        known.day,
        cast(sum(known.orders) as bigint) as orders,
        cast(sum(known.revenue) as decimal(18, 2)) as revenue,
        cast(sum(known.discount) as decimal(18, 2)) as discount
    from days as known
    inner join windows on known.day = windows.day and known.known_on <= windows.as_of
    where known.orders <> 0 or known.revenue <> 0 or known.discount <> 0
    group by known.person, windows.as_of, known.day
    having sum(known.orders) > 0
),

sequenced as (
    select
        *,
        {{ days_between('lag(day) over (partition by person, as_of order by day)', 'day') }}
            as gap_days,
        {{ days_between('day', 'as_of') }} as age_days
    from purchases
),

-- A cutoff sees only those who had consented by then: who did so later would not have been scored.
granted as (
    select
        people.person,
        cutoffs.as_of
    from permitted
    inner join people on permitted.customer = people.customer
    inner join cutoffs
        on
            permitted.valid_from <= cutoffs.as_of
            and (permitted.valid_to is null or permitted.valid_to > cutoffs.as_of)
),

rhythm as (
    select
        sequenced.person,
        sequenced.as_of,
        min(age_days) as recency_days,
        max(age_days) as tenure_days,
        max(age_days) - min(age_days) as t_x_days,
        count(*) as purchase_days,
        sum(orders) as orders,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        {%- for window in [28, 56, 84, 168, 365] %}
        sum(case when age_days < {{ window }} then 1 else 0 end) as purchase_days_{{ window }}d,
        cast(sum(case when age_days < {{ window }} then revenue else 0 end) as decimal(18, 2))
            as revenue_{{ window }}d,
        {%- endfor %}
        sum(case when age_days >= 84 and age_days < 168 then 1 else 0 end)
            as purchase_days_84d_before,
        cast(sum(case when age_days < 365 then discount else 0 end) as decimal(18, 2))
            as discount_365d,
        count(gap_days) as gaps,
        cast(sum(gap_days) as bigint) as gap_sum,
        cast(sum(gap_days * gap_days) as bigint) as gap_square_sum,
        max(gap_days) as max_gap_days,
        max_by(gap_days, day) as last_gap_days
    from sequenced
    inner join granted
        on sequenced.person = granted.person and sequenced.as_of = granted.as_of
    group by sequenced.person, sequenced.as_of
    having min(age_days) < {{ active }}
),

-- Rare things: orders' details, delivery, support, opinions, refunds.
rare as (
    select
        known.person,
        windows.as_of,
        {{ window_sum('units', 365) }} as units_365d,
        {{ window_sum('coupons', 84) }} as coupons_84d,
        {{ window_sum('coupons', 365) }} as coupons_365d,
        {{ window_sum('price_paid', 84) }} as price_paid_84d,
        {{ window_sum('price_base', 84) }} as price_base_84d,
        {{ window_sum('price_paid', 365) }} as price_paid_365d,
        {{ window_sum('price_base', 365) }} as price_base_365d,
        {{ window_sum('refunds', 365) }} as refunds_365d,
        {{ window_sum('refunded_amount', 365) }} as refunded_amount_365d,
        {{ window_sum('deliveries', 168) }} as deliveries_168d,
        {{ window_sum('late_deliveries', 84) }} as late_deliveries_84d,
        {{ window_sum('late_deliveries', 168) }} as late_deliveries_168d,
        {{ window_sum('delay_days', 84) }} as delay_days_84d,
        {{ window_sum('delay_days', 168) }} as delay_days_168d,
        {{ window_sum('tickets', 84) }} as tickets_84d,
        {{ window_sum('tickets', 168) }} as tickets_168d,
        {{ window_sum('bad_tickets', 84) }} as bad_tickets_84d,
        {{ window_sum('bad_tickets', 168) }} as bad_tickets_168d,
        {{ window_sum('feedback', 365) }} as feedback_365d,
        {{ window_sum('feedback_share_sum', 365) }} as feedback_share_sum,
        {{ window_sum('feedback_share_count', 365) }} as feedback_share_count,
        {{ window_sum('unsubscribes', 365) }} as unsubscribes,
        max(case when known.nps_count > 0 then known.day end) as last_nps_on
    from days as known
    inner join windows
        on
            known.day = windows.day
            and known.known_on <= windows.as_of
            and {{ in_window(365) }}
    where
        known.units <> 0 or known.coupons <> 0 or known.price_base <> 0 or known.refunds <> 0
        or known.deliveries <> 0 or known.tickets <> 0 or known.bad_tickets <> 0
        or known.feedback <> 0 or known.unsubscribes <> 0
    group by known.person, windows.as_of
),

-- The last day with an answer, and what stood of it.
ticket_days as (
    select
        known.person,
        windows.as_of,
        known.day,
        sum(known.satisfaction_sum) as satisfaction_sum,
        sum(known.satisfaction_count) as satisfaction_count
    from days as known
    inner join windows
        on
            known.day = windows.day
            and known.known_on <= windows.as_of
            and {{ in_window(365) }}
    where known.satisfaction_count <> 0 or known.satisfaction_sum <> 0
    group by known.person, windows.as_of, known.day
    having sum(known.satisfaction_count) > 0
),

last_tickets as (
    select
        person,
        as_of,
        max_by(satisfaction_sum * 1.0 / satisfaction_count, day) as last_ticket_satisfaction
    from ticket_days
    group by person, as_of
),

last_nps as (
    select
        rare.person,
        rare.as_of,
        sum(known.nps_sum) / sum(known.nps_count) as nps_last
    from rare
    inner join days as known
        on
            rare.person = known.person
            and rare.last_nps_on = known.day
            and rare.as_of >= known.known_on
            and known.nps_count > 0
    group by rare.person, rare.as_of
),

-- What is frequent looks back twelve weeks.
recent as (
    select
        known.person,
        windows.as_of,
        {%- for measure in [
            'sessions', 'page_views', 'product_views', 'products_viewed', 'searches', 'cart_adds',
            'checkouts', 'messages_delivered', 'messages_opened', 'messages_clicked',
        ] %}
        {{ window_sum(measure, 28) }} as {{ measure }}_28d,
        sum(known.{{ measure }}) as {{ measure }}_84d,
        {%- endfor %}
        {{ window_days('known.sessions > 0', 28) }} as active_days_28d,
        max(case when known.events > 0 then known.day end) as last_event_on
    from days as known
    inner join windows
        on
            known.day = windows.day
            and known.known_on <= windows.as_of
            and {{ in_window(84) }}
    where known.events <> 0 or known.sessions <> 0
    group by known.person, windows.as_of
),

-- For those silent for twelve weeks: the last event of the year, by days with events only.
older as (
    select
        known.person,
        windows.as_of,
        max(known.day) as last_event_on
    from days as known
    inner join windows
        on
            known.day = windows.day
            and known.known_on <= windows.as_of
            and {{ in_window(365) }}
            and not {{ in_window(84) }}
    where known.events > 0
    group by known.person, windows.as_of
),

final as (
    select
        people.customer,
        rhythm.as_of,
        cast(rhythm.recency_days as integer) as recency_days,
        cast(rhythm.purchase_days - 1 as integer) as frequency,
        cast(rhythm.t_x_days as integer) as t_x_days,
        cast(rhythm.tenure_days as integer) as tenure_days,
        {{ stable('rhythm.revenue / rhythm.purchase_days') }} as monetary,
        cast(rhythm.orders as integer) as orders,
        {{ stable('rhythm.revenue') }} as revenue,
        {%- for window in [28, 56, 84, 168, 365] %}
        cast(rhythm.purchase_days_{{ window }}d as integer) as purchase_days_{{ window }}d,
        {{ stable('rhythm.revenue_' ~ window ~ 'd') }} as revenue_{{ window }}d,
        {%- endfor %}
        cast(
            rhythm.purchase_days_84d - rhythm.purchase_days_84d_before as integer
        ) as purchase_days_trend_84d,
        {{ stable('rhythm.gap_sum * 1.0 / nullif(rhythm.gaps, 0)') }} as mean_gap_days,
        {{ stable(
            'case when rhythm.gaps > 1 then sqrt(greatest(0.0, (cast(rhythm.gap_square_sum as '
            ~ 'double) - cast(rhythm.gap_sum as double) * rhythm.gap_sum / rhythm.gaps) / '
            ~ '(rhythm.gaps - 1))) end'
        ) }} as sd_gap_days,
        cast(rhythm.max_gap_days as integer) as max_gap_days,
        cast(rhythm.last_gap_days as integer) as last_gap_days,
        {{ stable('rhythm.recency_days * 1.0 * rhythm.gaps / nullif(rhythm.gap_sum, 0)') }}
            as recency_over_gap,
        {{ stable('rhythm.discount_365d / nullif(rhythm.revenue_365d + rhythm.discount_365d, 0)') }}
            as discount_share_365d,
        {{ stable('coalesce(rare.units_365d, 0)') }} as units_365d,
        cast(coalesce(rare.coupons_84d, 0) as integer) as coupons_84d,
        cast(coalesce(rare.coupons_365d, 0) as integer) as coupons_365d,
        {{ stable('rare.price_paid_84d / nullif(rare.price_base_84d, 0)') }} as price_index_84d,
        {{ stable('rare.price_paid_365d / nullif(rare.price_base_365d, 0)') }} as price_index_365d,
        cast(coalesce(rare.refunds_365d, 0) as integer) as refunds_365d,
        {{ stable('coalesce(rare.refunded_amount_365d, 0)') }} as refunded_amount_365d,
        cast(coalesce(rare.deliveries_168d, 0) as integer) as deliveries_168d,
        cast(coalesce(rare.late_deliveries_84d, 0) as integer) as late_deliveries_84d,
        cast(coalesce(rare.late_deliveries_168d, 0) as integer) as late_deliveries_168d,
        {{ stable('coalesce(rare.delay_days_84d, 0)') }} as delay_days_84d,
        {{ stable('coalesce(rare.delay_days_168d, 0)') }} as delay_days_168d,
        cast(coalesce(rare.tickets_84d, 0) as integer) as tickets_84d,
        cast(coalesce(rare.tickets_168d, 0) as integer) as tickets_168d,
        cast(coalesce(rare.bad_tickets_84d, 0) as integer) as bad_tickets_84d,
        cast(coalesce(rare.bad_tickets_168d, 0) as integer) as bad_tickets_168d,
        {{ stable('last_tickets.last_ticket_satisfaction') }} as last_ticket_satisfaction,
        cast(coalesce(rare.feedback_365d, 0) as integer) as feedback_365d,
        {{ stable('rare.feedback_share_sum / nullif(rare.feedback_share_count, 0)') }}
            as feedback_mean_365d,
        {{ stable('last_nps.nps_last') }} as nps_last,
        {%- for measure in [
            'sessions', 'page_views', 'product_views', 'products_viewed', 'searches', 'cart_adds',
            'checkouts', 'messages_delivered', 'messages_opened', 'messages_clicked',
        ] %}
        {%- for window in [28, 84] %}
        cast(coalesce(recent.{{ measure }}_{{ window }}d, 0) as integer)
            as {{ measure }}_{{ window }}d,
        {%- endfor %}
        {%- endfor %}
        cast(coalesce(recent.active_days_28d, 0) as integer) as active_days_28d,
        cast(
            {{ days_between(
                'coalesce(recent.last_event_on, older.last_event_on)', 'rhythm.as_of'
            ) }} as integer
        ) as days_since_last_event,
        cast(case when rare.unsubscribes > 0 then 1 else 0 end as integer) as unsubscribed
    from rhythm
    inner join people on rhythm.person = people.person
    left join rare on rhythm.person = rare.person and rhythm.as_of = rare.as_of
    left join last_tickets
        on rhythm.person = last_tickets.person and rhythm.as_of = last_tickets.as_of
    left join last_nps on rhythm.person = last_nps.person and rhythm.as_of = last_nps.as_of
    left join recent on rhythm.person = recent.person and rhythm.as_of = recent.as_of
    left join older on rhythm.person = older.person and rhythm.as_of = older.as_of
)

select * from final
