-- grain: one row: the day that the run looks from
{{ config(materialized='table') }}
{# The day asked for, or the data's own clock: never today's date, so that a rebuild is the same. #}
{%- set clocks = [
    ('stg_events', 'ts'), ('stg_orders_versions', 'ordered_at'), ('int_orders__lines', 'ordered_at'),
    ('stg_tickets_versions', 'opened_at'), ('stg_feedback', 'submitted_at'),
    ('stg_messages_versions', 'sent_at'), ('stg_subscriptions_versions', 'started_at'),
] %}
with run as (
    select * from {{ ref('stg_run') }}
),

latest as (
    {%- for model, moment in clocks %}
    -- Not max(greatest()): either maximum stands in the statistics of the files.
    select greatest(max({{ moment }}), max(known_at)) as latest
    from {{ ref(model) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        run.run_id,
        -- Without any event there is no clock; the epoch keeps what follows empty, not broken.
        coalesce(run.as_of, cast(max(latest.latest) as date), cast('1970-01-01' as date)) as as_of,
        run.churn_horizon_days,
        run.churn_last_cutoff,
        run.churn_cutoffs
    from run
    cross join latest
    group by
        run.run_id, run.as_of, run.churn_horizon_days, run.churn_last_cutoff, run.churn_cutoffs
)

select * from final
