-- No link may join two components: the rounds of label propagation were then too few.
select
    links.node,
    links.neighbour
from {{ ref('int_identity__links') }} as links
inner join {{ ref('int_identity__components') }} as one on links.node = one.node
inner join {{ ref('int_identity__components') }} as other on links.neighbour = other.node
where one.component <> other.component
