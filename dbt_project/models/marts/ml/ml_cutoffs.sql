-- grain: one date x role in training, testing or scoring
{{ config(tags=['before_ml']) }}
with horizon as (
    select * from {{ ref('churn_horizon') }}
),

clock as (
    select * from {{ ref('run_clock') }}
),

grid as (
    select
        horizon.horizon_days,
        horizon.first_ordered_on,
        horizon.as_of,
        cast(greatest(7, round(horizon.horizon_days / 2.0)) as integer) as step_days,
        coalesce(
            clock.churn_last_cutoff,
            {{ add_days('horizon.as_of', '-horizon.horizon_days') }}
        ) as last_cutoff,
        coalesce(clock.churn_cutoffs, {{ var('churn_test_cutoffs') }}) as test_cutoffs
    from horizon
    cross join clock
    where horizon.first_ordered_on is not null
),

-- Test windows that do not overlap, if the history carries them; else on the training grid.
spaced as (
    select
        *,
        case
            when
                {{ add_days('first_ordered_on', 'horizon_days') }}
                <= {{ add_days('last_cutoff', '-(test_cutoffs - 1) * horizon_days') }}
                then horizon_days
            else step_days
        end as test_step_days
    from grid
),

tests as (
    select
        {{ add_days('spaced.last_cutoff', '-numbers.n * spaced.test_step_days') }} as as_of,
        'test' as role,
        spaced.horizon_days
    from spaced
    inner join {{ numbers(2) }} as numbers on spaced.test_cutoffs > numbers.n
    where
        {{ add_days('spaced.last_cutoff', '-numbers.n * spaced.test_step_days') }}
        >= {{ add_days('spaced.first_ordered_on', 'spaced.step_days') }}
        -- What happened by then must have happened.
        and {{ add_days(
            'spaced.last_cutoff', 'spaced.horizon_days - numbers.n * spaced.test_step_days'
        ) }} <= spaced.as_of
),

candidates as (
    select
        {{ add_days('spaced.last_cutoff', '-numbers.n * spaced.step_days') }} as as_of,
        spaced.horizon_days,
        spaced.step_days,
        spaced.first_ordered_on,
        spaced.last_cutoff
    from spaced
    inner join {{ numbers(2) }} as numbers
        on numbers.n * spaced.step_days >= spaced.horizon_days
),

histories as (
    select
        *,
        {{ add_days('first_ordered_on', 'horizon_days') }} <= as_of as has_long_history,
        max(
            case when {{ add_days('first_ordered_on', 'horizon_days') }} <= as_of then 1 else 0 end
        ) over (partition by last_cutoff) = 1 as any_long_history,
        row_number() over (partition by last_cutoff order by as_of desc) as grid_number
    from candidates
),

trains as (
    select
        as_of,
        'train' as role,
        horizon_days
    from histories
    where
        grid_number <= {{ var('churn_train_cutoffs') }}
        and (
            has_long_history
            or (
                not any_long_history
                and {{ add_days('first_ordered_on', 'step_days') }} <= as_of
            )
        )
),

unioned as (
    select * from tests
    union all
    select * from trains
    union all
    select
        as_of,
        'score' as role,
        horizon_days
    from spaced
),

final as (
    select
        as_of,
        role,
        cast(horizon_days as integer) as horizon_days,
        {{ add_days('as_of', 'horizon_days') }} as label_ends_on
    from unioned
)

select * from final
