-- grain: one activity of any entity, up to the run's day
with final as (
    select
        {{ event_columns() | join(',\n        ') }}
    from {{ ref('int_events__events') }}
    union all
    select
        {{ event_columns() | join(',\n        ') }}
    from {{ ref('int_events__records') }}
)

select * from final
