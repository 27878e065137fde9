{#- Default channel group from the first touch of a session, as web-analytics users know them. -#}
{% macro channel_group(utm_source, utm_medium, utm_campaign, referrer) -%}
    case
        when {{ utm_medium }} in ('cpc', 'ppc', 'paid', 'paid_search', 'paidsearch', 'sem')
            then 'paid_search'
        when {{ utm_medium }} in ('email', 'e-mail', 'newsletter') then 'email'
        when {{ utm_medium }} in ('sms', 'push') then 'message'
        when
            {{ utm_medium }} in ('social', 'paid_social', 'social-media')
            or {{ utm_source }} in ('wechat', 'weibo', 'facebook', 'instagram', 'tiktok', 'douyin',
                'xiaohongshu', 'twitter', 'linkedin')
            then 'social'
        when {{ utm_medium }} in ('affiliate', 'referral') then 'referral'
        when {{ utm_medium }} in ('display', 'banner', 'cpm') then 'display'
        when
            {{ utm_medium }} = 'organic'
            or {{ referrer }} like '%google.%' or {{ referrer }} like '%baidu.%'
            or {{ referrer }} like '%bing.%' or {{ referrer }} like '%sogou.%'
            or {{ referrer }} like '%so.com%' or {{ referrer }} like '%duckduckgo.%'
            then 'organic_search'
        when coalesce({{ utm_medium }}, {{ utm_source }}, {{ utm_campaign }}) is not null
            then 'other'
        when coalesce({{ referrer }}, '') <> '' then 'referral'
        else 'direct'
    end
{%- endmacro %}

{#- Engaged: enough views, enough heartbeats of ten seconds, or a conversion. -#}
{% macro is_engaged(page_views, heartbeats, is_converted) -%}
    (
        {{ page_views }} >= {{ var('engaged_page_views') }}
        or {{ heartbeats }} >= {{ var('engaged_heartbeats') }}
        or {{ is_converted }}
    )
{%- endmacro %}

{#- 1 where a session begins: at the first event, or after a silence longer than the gap. -#}
{% macro session_start(previous_ts, ts) -%}
    case
        when {{ previous_ts }} is null then 1
        when
            {{ us_between(previous_ts, ts) }}
            > cast({{ var('session_gap_minutes') }} as bigint) * 60000000
            then 1
        else 0
    end
{%- endmacro %}
