-- Replicas: other places where copies of an entry's views lie.

create table replicas (
    entry bigint not null references entries on delete cascade,
    view text not null,
    url text not null,
    -- The copy that others are made from; where none is, that is the one stored here.
    master boolean not null default false,
    added_by text not null,
    at timestamptz not null default now(),
    primary key (entry, url)
);
create unique index replicas_master on replicas (entry) where master;
