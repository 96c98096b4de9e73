-- The audit trail, sealed: committed rows are numbered by the seal that covers them, each second.

alter table audit add column source text;
alter table audit add column bytes bigint;
-- The number of the row's seal; null until it is sealed.
alter table audit add column seal bigint;

-- Ids and times are given out together: a time is found among the ids.
drop index audit_at;
create index audit_unsealed on audit (id) where seal is null;
create index audit_sealed on audit (seal, id) where seal is not null;
create index audit_caller on audit (caller, id);
create index audit_guid on audit (guid, id) where guid is not null;

create table audit_seals (
    number bigint primary key,
    -- One line of signed JSON, as it is published.
    text text not null,
    -- Each sealed row's id (8 bytes) and the start of its hash (4 bytes): what tells a changed row from its neighbours.
    rows bytea not null,
    at timestamptz not null default clock_timestamp()
);
alter table audit_seals alter column rows set storage external;
