-- grain: one review, NPS or survey answer
{%- set ids = [('customer', 'customer_id'), ('email', 'email')] %}
with feedback as (
    select * from {{ ref('stg_feedback') }}
),

clock as (
    select * from {{ ref('int_run_clock') }}
),

final as (
    select
        feedback.feedback_id,
        {{ resolved_customer(ids) }} as customer,
        feedback.kind,
        feedback.submitted_at,
        feedback.score,
        feedback.score_max,
        cast(feedback.score / nullif(feedback.score_max, 0) as decimal(9, 4)) as score_share,
        -- NPS as its users count it: 9 and 10 promote, 0 to 6 detract.
        case
            when feedback.kind <> 'nps' or feedback.score is null then null
            when feedback.score >= 9 then 'promoter'
            when feedback.score >= 7 then 'passive'
            else 'detractor'
        end as nps_group,
        feedback.product_id,
        feedback.order_id,
        feedback.channel,
        feedback.language,
        feedback.body,
        feedback.known_at,
        feedback.source
    from feedback
    cross join clock
    {{ identity_joins('feedback', ids) }}
    where cast(feedback.submitted_at as date) <= clock.as_of
)

select * from final
