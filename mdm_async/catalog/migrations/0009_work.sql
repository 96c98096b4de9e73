-- Work is rows: queues that any node takes pages of. In each, `due` says from when a row may be taken: it waits after a
-- failure, and one that a node has taken (taken_by) is another's when it was not renewed until then.

create table views_to_make (
    image uuid not null,
    view text not null,
    since timestamptz not null default now(),
    due timestamptz not null default now(),
    attempts integer not null default 0,
    failure text,
    taken_by text,
    primary key (image, view)
);
create index views_to_make_due on views_to_make (due);

-- Directories whose files may lack views: looked through a page at a time, and those in them after them.
create table directories_to_check (
    directory bigint primary key,
    -- The last name that was looked at.
    after text collate "C" not null default '',
    since timestamptz not null default now(),
    due timestamptz not null default now(),
    attempts integer not null default 0,
    failure text,
    taken_by text
);
create index directories_to_check_due on directories_to_check (due);

alter table keys_to_forget
    add column since timestamptz not null default now(),
    add column attempts integer not null default 0,
    add column failure text,
    add column taken_by text;

-- Doomed images and blobs are to be destroyed.
alter table images
    add column due timestamptz not null default '-infinity',
    add column attempts integer not null default 0,
    add column failure text,
    add column taken_by text;
create index images_to_destroy on images (due) where doomed is not null;
alter table blobs
    add column doomed timestamptz,
    add column due timestamptz not null default '-infinity',
    add column attempts integer not null default 0,
    add column failure text,
    add column taken_by text;
create index blobs_to_delete on blobs (due) where state = 'doomed';
create index blobs_being_written on blobs (lease) where state = 'writing';

-- The version of the view `basic` that the node makes that was started last: where another is started with another,
-- every directory is to be checked.
alter table installation add column basic text not null default '';
