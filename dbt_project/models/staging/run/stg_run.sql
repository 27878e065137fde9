-- grain: one row: the parameters of the run
with source as (
    select * from {{ source('raw', 'run') }}
),

final as (
    select
        run_id,
        as_of,
        churn_horizon_days,
        churn_last_cutoff,
        churn_cutoffs,
        legal_bases
    from source
)

select * from final
