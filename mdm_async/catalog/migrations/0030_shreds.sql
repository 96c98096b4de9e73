-- What was shredded: by whom, what went, and how far it is, until nothing that anybody keeps can bring it back.

create table shreds (
    id uuid primary key,
    at timestamptz not null default clock_timestamp(),
    caller text not null,
    -- Who may ask for the receipt: `Caller.owner`.
    owner text not null,
    -- An administrator's, by a grant that the audit tells of.
    granted boolean not null,
    images integer not null,
    -- Keys in all stores, rows and blobs are gone since then.
    destroyed timestamptz,
    -- Nor can anything be brought back from backups since then.
    final timestamptz,
    due timestamptz not null default now(),
    attempts integer not null default 0,
    failure text,
    taken_by text
);
create index shreds_due on shreds (due) where final is null;
create index shreds_of_owner on shreds (owner, at);
create index shreds_at on shreds (at);

create table shredded_images (
    image uuid primary key,
    shred uuid not null references shreds,
    registration uuid not null,
    blobs uuid[] not null,
    -- What the receipt tells: entries by GUID, views, sizes, to whom it had been delivered.
    told jsonb not null
);
create index shredded_images_of_shred on shredded_images (shred, image);

-- Which key stores have destroyed their keys, and which key-encryption key was in use there then.
create table shred_stores (
    shred uuid not null references shreds,
    store text not null,
    at timestamptz not null default clock_timestamp(),
    epoch integer not null,
    primary key (shred, store)
);

-- Destroyed at once, whoever is reading it.
alter table images add column shredded boolean not null default false;
