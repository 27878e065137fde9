-- grain: one review, NPS or survey answer, scored from 0 to 1
{%- set ids = [('customer', 'customer_id'), ('email', 'email')] %}
with final as (
    select
        {{ resolved_customer(ids) }} as customer,
        cast(feedback.submitted_at as date) as day,
        cast({{ resolved_at('feedback.known_at', ids) }} as date) as known_on,
        cast(feedback.score / nullif(feedback.score_max, 0) as decimal(9, 4)) as share,
        case when feedback.kind = 'nps' then feedback.score end as nps
    from {{ ref('stg_feedback') }} as feedback
    {{ identity_joins('feedback', ids) }}
)

select * from final
