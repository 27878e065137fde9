{#- What a deployment without consents may state a legal basis for (habitus.legalBasis). -#}
{% macro purposes() -%}
    {{ return(['analytics', 'personalisation', 'marketing']) }}
{%- endmacro %}

{#-
    CTEs `ranked` and `statements` of a relation of raw consents: what was last said of each
    customer id, purpose and beginning. Of two versions that became known together, the refusal
    stands: nobody is used by the luck of a file's order.
-#}
{% macro consent_statements(source) -%}
normalised as (
    select
        customer_id,
        lower(trim(purpose)) as purpose,
        lower(trim(status)) as status,
        lower(trim(basis)) as basis,
        valid_from,
        valid_to,
        lower(trim(channel)) as channel,
        attributes,
        _source,
        _known_at,
        _record_hash,
        _batch_id,
        _row_number
    from {{ source }}
),

ranked as (
    select
        *,
        min(_known_at) over (partition by customer_id, purpose, valid_from) as first_known_at,
        min(_known_at) over (
            partition by customer_id, purpose, valid_from, status
        ) as status_known_at,
        row_number() over (
            partition by customer_id, purpose, valid_from
            order by
                _known_at desc,
                case when status = 'granted' then 1 else 0 end asc,
                {{ version_ties('desc') }}
        ) as version_rank
    from normalised
),

statements as (
    select
        customer_id,
        purpose,
        status,
        basis,
        valid_from,
        valid_to,
        channel,
        attributes,
        _source as source,
        _known_at as known_at,
        first_known_at,
        status_known_at
    from ranked
    where version_rank = 1
)
{%- endmacro %}

{#-
    Intervals (customer, valid_from, valid_to) in which a customer's data may be looked at for a
    purpose: granted then, and not refused today. A row that looks from day D belongs to a
    customer with valid_from <= D and (valid_to is null or valid_to > D).
-#}
{% macro granted_intervals(purpose) -%}
    select
        customer,
        valid_from,
        valid_to
    from {{ ref('dim_consents') }}
    where purpose = '{{ purpose }}' and may_use
{%- endmacro %}

{#- Customers whose data may be used for a purpose on the run's day. -#}
{% macro permitted(purpose) -%}
    select granted.customer
    from {{ ref('dim_consents') }} as granted
    cross join {{ ref('run_clock') }} as run_clock
    where
        granted.purpose = '{{ purpose }}'
        and granted.may_use
        and granted.valid_from <= run_clock.as_of
        and (granted.valid_to is null or granted.valid_to > run_clock.as_of)
{%- endmacro %}
