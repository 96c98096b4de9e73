-- That a file's entry points to the image it was given: a keyed checksum over its GUID, that image, and its one view.

alter table entries add column binding bytea;
create index entries_unbound on entries (id) where image is not null and binding is null;
-- As that, of a member of a cohort: the image, view and version that it pins.
alter table cohort_members add column binding bytea;
create index cohort_members_unbound on cohort_members (cohort, number) where binding is null;
-- For a day from `binding_since` entries and members that have none are given one; once `bound` is set, none is taken without.
alter table installation
    add column binding_since timestamptz not null default now(),
    add column bound timestamptz;
