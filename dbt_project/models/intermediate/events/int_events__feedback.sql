-- grain: one review, NPS or survey answer
{%- set ids = [('customer', 'customer_id'), ('email', 'email')] %}
with feedback as (
    select
        feedback.*,
        {{ resolved_customer(ids) }} as customer,
        {{ resolved_at('feedback.known_at', ids) }} as attributed_at
    from {{ ref('stg_feedback') }} as feedback
    {{ identity_joins('feedback', ids) }}
),

final as (
    {{ activities('feedback', 'feedback', 'feedback_id',
        ['feedback_id', 'kind', 'score', 'score_max', 'product_id', 'order_id', 'channel',
         'language'],
        [[none,
          "case kind when 'nps' then 'nps_submitted' when 'review' then 'product_reviewed'"
          ~ " else 'survey_submitted' end",
          'submitted_at', 'known_at', none, none]]
    ) }}
)

select * from final
