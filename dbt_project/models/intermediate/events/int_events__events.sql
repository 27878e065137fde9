-- grain: one web or app event, with its customer
{{ events_of(ref('stg_events')) }}

select * from final
