-- Numbers that are given once each, to whoever asks next.
create table sequences (
    directory bigint not null references entries (id) on delete cascade,
    name text collate "C" not null,
    next bigint not null,
    step integer not null check (step <> 0),
    primary key (directory, name)
);

-- Queries that users keep under names, sealed: what they look for may name patients.
create table saved_queries (
    directory bigint not null references entries (id) on delete cascade,
    name text collate "C" not null,
    sealed bytea not null,
    made_by text not null,
    made timestamptz not null default now(),
    primary key (directory, name)
);
