-- Entries that members of cohorts were, once they have gone: what was in force there then, LFN, ACL, the ACLs on the way,
-- default view and delivery.
create table entries_gone (
    entry bigint primary key,
    last jsonb not null
);
create index cohort_members_entry on cohort_members (entry);
-- Whoever made the cohort could give others rights to the entry.
alter table cohort_members add column handed_on boolean not null default false;
-- What was in force in a directory that was cut off.
alter table trees_to_remove add column last jsonb;
