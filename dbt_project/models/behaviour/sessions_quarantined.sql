-- grain: one session longer than the cap: cut out of `sessions`, and counted here
with sessions as (
    select * from {{ ref('int_sessions__all') }}
    where is_over_cap
),

final as (
    select
        session_id,
        customer,
        anonymous_customer_id,
        started_at,
        ended_at,
        events,
        absolute_seconds,
        'longer_than_cap' as reason
    from sessions
)

select * from final
