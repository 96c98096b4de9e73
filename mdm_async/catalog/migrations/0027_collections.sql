-- Attributes of users' own: a collection is a schema at a directory, in force for it and all below it.
create table collections (
    id bigint generated always as identity primary key,
    directory bigint not null references entries (id) on delete cascade,
    name text collate "C" not null,
    made_by text not null,
    made timestamptz not null default now(),
    unique (directory, name)
);

create table collection_attributes (
    id bigint generated always as identity primary key,
    collection bigint not null references collections (id) on delete cascade,
    name text collate "C" not null,
    kind text not null check (kind in ('text', 'int', 'float', 'date')),
    -- Of a text: the only values that there are.
    choices text[],
    unique (collection, name)
);

-- Numbers are in `number`, all else in `text`. Of an attribute that is no more they go by and by.
create table own_values (
    entry bigint not null references entries (id) on delete cascade,
    attribute bigint not null,
    text text collate "C",
    number double precision,
    primary key (entry, attribute),
    check (num_nonnulls(text, number) = 1)
);
create index own_values_text on own_values (attribute, text, entry) where text is not null;
create index own_values_number on own_values (attribute, number, entry) where number is not null;

-- Attributes that are no more, until their values are gone.
create table values_to_forget (
    attribute bigint primary key,
    since timestamptz not null default now(),
    due timestamptz not null default now(),
    attempts integer not null default 0,
    failure text,
    taken_by text
);
create index values_to_forget_due on values_to_forget (due);

-- However it went: by itself, with its collection, with its directory.
create function forget_values() returns trigger language plpgsql as $$
begin
    insert into values_to_forget (attribute) select id from gone;
    return null;
end $$;
create trigger attributes_leave_no_values after delete on collection_attributes
    referencing old table as gone for each statement execute function forget_values();
