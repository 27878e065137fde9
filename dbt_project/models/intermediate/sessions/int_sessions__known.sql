-- grain: one customer x day x known day: sessions begun, as far as they were known
{#
    A session whose events became known on different days is counted anew from the events of each
    known day: later events can join two sessions, and a count as of a day must not see that.
#}
{{ sessions_known(ref('int_sessions__all'), ref('int_events__events')) }}

select * from final
