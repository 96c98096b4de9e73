-- What deep checks have found of stored images, and how far the one that goes on by itself is.

create table damage (
    image uuid not null references images on delete cascade,
    kind text not null,
    view text not null default '',
    version text not null default '',
    part uuid not null default '00000000-0000-0000-0000-000000000000',
    blob uuid,
    what text not null,
    found timestamptz not null default now(),
    primary key (image, kind, view, version, part, what)
);

create table deep_check (
    single boolean primary key default true check (single),
    begun timestamptz not null default now(),
    after uuid not null default '00000000-0000-0000-0000-000000000000',
    ended timestamptz,
    held_until timestamptz not null default now()
);
insert into deep_check default values;
