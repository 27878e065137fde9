-- grain: one customer x purpose x interval in which one answer holds
{#
    docs/consent.md has the reasons. Of each customer id, the statement with the latest beginning
    speaks; of a customer with several ids, the strictest. A refusal holds from the day that it
    states or that we learned of it, whichever is earlier; a grant only from when it is both in
    force and known. One answer for everybody stands here where no consents were ever delivered
    and the contracts state a legal basis (or state nothing: basis `not_stated`).
#}
with ids as (
    select * from {{ ref('customer_id_map') }}
),

consents as (
    select * from {{ ref('stg_consents_today') }}
),

clock as (
    select * from {{ ref('int_run_clock') }}
),

run as (
    select * from {{ ref('stg_run') }}
),

heard as (
    select
        count(*) as statements,
        max(cast(known_at as date)) as last_known_on
    from consents
),

-- The day on which use is decided: not before the last that we heard of anybody's consent.
decided as (
    select greatest(clock.as_of, coalesce(heard.last_known_on, clock.as_of)) as day
    from clock
    cross join heard
),

stated as (
    select
        ids.customer,
        consents.customer_id,
        consents.purpose,
        consents.valid_from,
        cast(consents.valid_to as date) as expires_on,
        consents.status = 'granted' as is_granted,
        case
            when consents.status = 'granted'
                then
                    greatest(
                        cast(consents.valid_from as date),
                        -- What was learned after the run's day is used on it, never before it.
                        least(
                            greatest(
                                cast(consents.status_known_at as date), cast(ids.known_at as date)
                            ),
                            clock.as_of
                        )
                    )
            else least(cast(consents.valid_from as date), cast(consents.status_known_at as date))
        end as begins_on
    from consents
    inner join ids on ids.id_type = 'customer' and consents.customer_id = ids.id_value
    cross join clock
),

spoken as (
    select
        *,
        min(begins_on) over (
            partition by customer_id, purpose
            order by valid_from
            rows between 1 following and unbounded following
        ) as replaced_on
    from stated
),

answers as (
    select
        customer,
        purpose,
        is_granted,
        begins_on,
        case
            when is_granted
                then
                    least(
                        coalesce(replaced_on, expires_on), coalesce(expires_on, replaced_on)
                    )
            else replaced_on
        end as ends_on
    from spoken
    union all
    -- A grant that ran out is an answer too: no.
    select
        customer,
        purpose,
        false as is_granted,
        greatest(begins_on, expires_on) as begins_on,
        replaced_on as ends_on
    from spoken
    where is_granted and expires_on is not null
),

changes as (
    select
        customer,
        purpose,
        begins_on as day,
        case when is_granted then 1 else 0 end as grants,
        case when is_granted then 0 else 1 end as refusals
    from answers
    where ends_on is null or begins_on < ends_on
    union all
    select
        customer,
        purpose,
        ends_on as day,
        case when is_granted then -1 else 0 end as grants,
        case when is_granted then 0 else -1 end as refusals
    from answers
    where begins_on < ends_on
),

days as (
    select
        customer,
        purpose,
        day,
        sum(grants) as grants,
        sum(refusals) as refusals
    from changes
    group by customer, purpose, day
),

states as (
    select
        customer,
        purpose,
        day as valid_from,
        lead(day) over (partition by customer, purpose order by day) as valid_to,
        sum(grants) over (
            partition by customer, purpose
            order by day
            rows between unbounded preceding and current row
        ) as grants,
        sum(refusals) over (
            partition by customer, purpose
            order by day
            rows between unbounded preceding and current row
        ) as refusals
    from days
),

judged as (
    select
        states.customer,
        states.purpose,
        states.valid_from,
        states.valid_to,
        states.grants > 0 and states.refusals = 0 as is_granted,
        states.valid_from <= decided.day
            and (states.valid_to is null or states.valid_to > decided.day) as is_today
    from states
    cross join decided
    where states.grants > 0 or states.refusals > 0
),

own as (
    select
        *,
        max(case when is_today and is_granted then 1 else 0 end) over (
            partition by customer, purpose
        ) = 1 as may_use_today
    from judged
),

everybody as (
    select distinct customer from ids
),

unioned as (
    select
        customer,
        purpose,
        valid_from,
        valid_to,
        case when is_granted then 'granted' else 'refused' end as answer,
        'consent' as basis,
        is_today,
        is_granted and may_use_today as may_use
    from own
    {%- for purpose in purposes() %}
    union all
    select
        everybody.customer,
        '{{ purpose }}' as purpose,
        cast('0001-01-01' as date) as valid_from,
        cast(null as date) as valid_to,
        'not_asked' as answer,
        {{ json_string('run.legal_bases', purpose) }} as basis,
        true as is_today,
        true as may_use
    from everybody
    cross join run
    cross join heard
    where {{ json_string('run.legal_bases', purpose) }} is not null and heard.statements = 0
    {%- endfor %}
),

final as (
    select
        customer,
        purpose,
        valid_from,
        valid_to,
        answer,
        basis,
        is_today,
        may_use
    from unioned
)

select * from final
