-- grain: one session on a device, or of a customer where no device is known
{{ config(materialized='increment', unique_key='session_id') }}
{%- set since = increment_since() %}
{%- set all_sessions = ref('int_sessions__all') %}
{%- set versions = ref('int_orders__versions') %}
{#
    An order comes at most a gap after the end of its session, and a session is at most as long as
    the cap: so much is the reach. What the first change can concern is a session that began at
    most a reach before it; all orders of such a one came later than that, and may have stood with
    a session that began another reach before.
#}
{%- set minutes = var('session_gap_minutes') | int + (var('session_cap_days') | int) * 1440 %}
{%- set reach = minutes * 60000000 %}
{%- if since is not none %}
{%- call small('changed_sessions') %}
    {{ changed_since(all_sessions, ['session_id', 'customer', 'started_at'], since) }}
{%- endcall %}
{%- call small('changed_customers') %}
    -- Whose sessions or orders changed: nobody else's orders can belong to another session now.
    {%- set columns = [
        'order_id', 'customer', 'ordered_at', 'revenue', 'channel', 'is_purchase', 'is_latest',
    ] %}
    {%- set tables = [versions, standing('intermediate', 'int_orders__versions', since)] %}
    select
        customer,
        started_at as changed_at
    from changed_sessions
    where customer is not null
    {%- for these, others in [tables, tables | reverse | list] %}
    union
    select
        customer,
        ordered_at as changed_at
    from (
        select {{ columns | join(', ') }} from {{ these }}
        except
        select {{ columns | join(', ') }} from {{ others }}
    ) as changed_orders
    where customer is not null
    {%- endfor %}
{%- endcall %}
{%- set first_change = '(select min(changed_at) from changed_customers)' %}
{%- set concerned_from = moment('select ' ~ add_us(first_change, -reach)) %}
{%- set read_from = moment('select ' ~ add_us(first_change, -2 * reach)) %}
{%- endif %}
with sessions as {{ 'not materialized ' if since is not none }}(
    select * from {{ all_sessions }}
    where
        not is_over_cap
        {%- if since is not none %}
        and started_at >= {{ read_from }}
        {%- endif %}
),

orders as (
    select * from {{ versions }}
    where
        is_latest
        and is_purchase
        and customer is not null
        and coalesce(channel, 'web') not in ('store', 'phone')
        {%- if since is not none %}
        and customer in (select customer from changed_customers)
        and ordered_at >= {{ concerned_from }}
        {%- endif %}
),

-- An order belongs to the latest session of its customer that it does not come too late for.
candidates as (
    select
        orders.order_id,
        orders.revenue,
        sessions.session_id,
        sessions.started_at,
        row_number() over (
            partition by orders.order_id
            order by sessions.started_at desc, sessions.session_id asc
        ) as candidate_rank
    from orders
    inner join sessions
        on
            orders.customer = sessions.customer
            and orders.ordered_at >= sessions.started_at
            and {{ us_between('sessions.ended_at', 'orders.ordered_at') }}
            <= cast({{ var('session_gap_minutes') }} as bigint) * 60000000
),

conversions as (
    select
        session_id,
        cast(sum(revenue) as decimal(18, 2)) as revenue
    from candidates
    where
        candidate_rank = 1
        {%- if since is not none %}
        and started_at >= {{ concerned_from }}
        {%- endif %}
    group by session_id
),

{% if since is not none %}
changed as materialized (
    select session_id from changed_sessions
    union
    select coalesce(conversions.session_id, stood.session_id) as session_id
    from conversions
    full outer join (
        select
            session_id,
            revenue
        from {{ this }}
        where
            is_converted
            and customer in (select customer from changed_customers)
            and started_at >= {{ concerned_from }}
    ) as stood on conversions.session_id = stood.session_id
    where conversions.revenue is distinct from stood.revenue
),
{% endif %}
described as (
    select
        sessions.session_id,
        sessions.customer,
        sessions.anonymous_customer_id,
        sessions.customer_session_index as device_session_index,
        sessions.started_at,
        sessions.ended_at,
        sessions.known_at,
        sessions.page_views,
        sessions.events,
        sessions.engaged_seconds,
        sessions.absolute_seconds,
        {{ is_engaged(
            'sessions.page_views', 'sessions.heartbeats', 'conversions.session_id is not null'
        ) }} as is_engaged,
        sessions.landing_page,
        sessions.exit_page,
        sessions.utm_source,
        sessions.utm_medium,
        sessions.utm_campaign,
        {{ channel_group(
            'sessions.utm_source', 'sessions.utm_medium', 'sessions.utm_campaign',
            'sessions.referrer'
        ) }} as default_channel_group,
        conversions.session_id is not null as is_converted,
        cast(coalesce(conversions.revenue, 0) as decimal(18, 2)) as revenue
    from sessions
    {%- if since is not none %}
    semi join changed on sessions.session_id = changed.session_id
    {%- endif %}
    left join conversions on sessions.session_id = conversions.session_id
),

{{ final_rows(since, 'described', 'changed', ['session_id']) }}

select * from final
