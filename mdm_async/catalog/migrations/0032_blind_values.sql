-- What originals say of themselves: sealed under their identity secrets, and found by keyed digests of single values.

create table original_attributes (
    image uuid primary key references images on delete cascade,
    sealed bytea not null
);
alter table original_attributes alter column sealed set storage external;

create table blind_values (
    image uuid not null references images on delete cascade,
    tag integer not null,
    blind bytea not null,
    primary key (image, tag, blind)
);
create index blind_values_by_value on blind_values (tag, blind, image);

-- What was stored before it was indexed, or was by an older table of attributes: looked through once, by image id.
alter table installation
    add column index_revision integer not null default 0,
    add column indexed_after uuid;

create table images_to_index (
    image uuid primary key,
    since timestamptz not null default now(),
    due timestamptz not null default now(),
    attempts integer not null default 0,
    failure text,
    taken_by text
);
create index images_to_index_due on images_to_index (due);
