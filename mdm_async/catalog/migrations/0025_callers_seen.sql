-- When somebody last asked for something as this caller, to the hour. Grants older than that name it, and no others.
-- A macaroon's bearer makes a new caller of every narrower path, so those that no grant names must go.
alter table callers add column seen timestamptz not null default now();
create index callers_seen on callers (seen);
