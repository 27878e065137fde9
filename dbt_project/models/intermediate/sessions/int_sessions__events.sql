-- grain: one event of somebody, with its place in a session
{#
    Only what a session needs goes through the sort, which is what this costs at ten million
    events; the owner of the device is looked up later, by session.
#}
{{ session_events(ref('int_events__events')) }}

select * from final
