-- How often the second site has heard something of entries, as it said last: less, and it was set back to an earlier state.
alter table mirrors add said bigint not null default 0;

-- By when it is due, too: what is due anyway is not looked at again.
drop index mirror_changes_failed;
create index mirror_changes_failed on mirror_changes (mirror, failure, due) where failure is not null;
