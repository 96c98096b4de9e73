-- Who brought an image here: the same bytes, put again by the same caller, are no other file.

alter table images add column brought_by text;

update images i set brought_by = g.owner
from grants g
where g.image = i.id and g.operation = 'put' and g.state in ('uploaded', 'done');
