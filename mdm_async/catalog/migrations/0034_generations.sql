-- An image's keys may be changed: what generation they are, and since when (null: since the image came).
alter table images
    add column generation integer not null default 1,
    add column keyed timestamptz;

-- Keys that images had before, and the blobs under them: kept while what was begun under them is read to its end, which
-- those who serve it say by `due`.
create table superseded_keys (
    registration uuid primary key,
    image uuid not null,
    blobs uuid[] not null,
    since timestamptz not null default now(),
    due timestamptz not null,
    attempts integer not null default 0,
    failure text,
    taken_by text
);
create index superseded_keys_due on superseded_keys (due);
create index superseded_keys_of_image on superseded_keys (image);

-- Registrations that a shredded image had had before, and whose keys were still there.
alter table shredded_images add column older uuid[] not null default '{}';
