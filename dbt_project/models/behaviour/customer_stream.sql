-- grain: one activity (Activity Schema 2.0, with the departures that its documentation states)
with activities as (
    select * from {{ ref('int_events__unioned') }}
),

final as (
    select
        activity_id,
        ts,
        known_at,
        attributed_at,
        customer,
        anonymous_customer_id,
        activity,
        feature_json,
        revenue_impact,
        currency,
        link,
        source,
        row_number() over (
            partition by coalesce(customer, activity_id), activity
            order by ts, activity_id
        ) as activity_occurrence,
        lead(ts) over (
            partition by coalesce(customer, activity_id), activity
            order by ts, activity_id
        ) as activity_repeated_at
    from activities
)

select * from final
