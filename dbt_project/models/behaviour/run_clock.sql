-- grain: one row: the day that the run looks from, and its parameters
with clock as (
    select * from {{ ref('int_run_clock') }}
),

final as (
    select
        as_of,
        churn_horizon_days,
        churn_last_cutoff,
        churn_cutoffs
    from clock
)

select * from final
