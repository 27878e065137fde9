-- grain: one customer x day x day on which it became known: orders, tickets and feedback
{{ config(materialized='table') }}
{%- set ledger_measures = [
    'orders', 'units', 'revenue', 'discount', 'coupons', 'price_paid', 'price_base', 'refunds',
    'refunded_amount', 'deliveries', 'late_deliveries', 'delay_days',
] %}
{%- set ticket_measures = ['tickets', 'bad_tickets', 'satisfaction_sum', 'satisfaction_count'] %}
{%- set feedback_measures = {
    'feedback': '1',
    'feedback_share_sum': 'coalesce(share, 0)',
    'feedback_share_count': 'case when share is null then 0 else 1 end',
    'nps_sum': 'coalesce(nps, 0)',
    'nps_count': 'case when nps is null then 0 else 1 end',
} %}
{%- set record_measures = ledger_measures + ticket_measures + feedback_measures.keys() | list %}
with records as (
    select
        customer,
        day,
        cast(known_at as date) as known_on,
        {{ measures_part(record_measures, dict(zip(ledger_measures, ledger_measures))) }}
    from {{ ref('int_orders__ledger') }}
    union all
    select
        customer,
        day,
        known_on,
        {{ measures_part(record_measures, dict(zip(ticket_measures, ticket_measures))) }}
    from {{ ref('int_customer_days__tickets') }}
    union all
    select
        customer,
        day,
        known_on,
        {{ measures_part(record_measures, feedback_measures) }}
    from {{ ref('int_customer_days__feedback') }}
    where customer is not null
),

final as (
    select
        customer,
        day,
        known_on,
        {%- for measure in record_measures %}
        sum({{ measure }}) as {{ measure }}{{ ',' if not loop.last }}
        {%- endfor %}
    from records
    group by customer, day, known_on
)

select * from final
